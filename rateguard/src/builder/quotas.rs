//! Quotas that are set when the program starts.

use std::env::{self, VarError};
use std::path::Path;

use super::RateGuardBuilder;
use crate::error::ConfigError;
use crate::policy::Policy;
use crate::quota::Quota;
use crate::quota::parse;

const VARIABLE: &str = "RATEGUARD_QUOTAS";
const FILE_VARIABLE: &str = "RATEGUARD_QUOTAS_FILE";

/// Quotas by the name of a policy, in place of those that the program was written with.
impl RateGuardBuilder {
    /// The quota of the policies of this name, in place of the one in the attribute or the layer. Of several for one name,
    /// the last counts. See [`RateGuard::set_quota`](crate::RateGuard::set_quota) for what is said of a name that no
    /// policy has.
    pub fn quota(mut self, name: impl Into<String>, quota: Quota) -> Self {
        let name = name.into();
        match Policy::try_new(name.clone(), quota) {
            Ok(_) => self.quotas.insert(name, quota),
            Err(error) => return self.refuse(ConfigError::new("quota", name, error.to_string())),
        };
        self
    }

    /// Quotas from text: `policy = quota`, one a line or parted by `;`, with comments from a `#` on. A quota is written as
    /// [`Quota`] is read: `[algorithm:]limit/window[:burst=n]`. Without an algorithm it is `sliding_window`, whatever
    /// the program was written with.
    ///
    /// ```
    /// # use rateguard::RateGuard;
    /// let limiter = RateGuard::builder()
    ///     .quotas(
    ///         "# for the sale
    ///          app::search = 5/60s
    ///          app::login  = fixed_window:10/1h; global = token_bucket:100/1m:burst=200",
    ///     )
    ///     .build()?;
    /// # Ok::<(), rateguard::ConfigError>(())
    /// ```
    ///
    /// A name with a `=` or a `;` cannot be written here; [`quota`](Self::quota) takes any.
    pub fn quotas(self, text: impl AsRef<str>) -> Self {
        self.quotas_of("quotas", text.as_ref())
    }

    /// Quotas from a file, written as for [`quotas`](Self::quotas). It is read here and now, once. A file that is not
    /// there, or cannot be read, is an error.
    pub fn quotas_from_file(self, path: impl AsRef<Path>) -> Self {
        self.quotas_in_file("quotas_from_file", path.as_ref())
    }

    /// Quotas from the environment, written as for [`quotas`](Self::quotas): those in the file that
    /// `RATEGUARD_QUOTAS_FILE` names, and then those in `RATEGUARD_QUOTAS`, such as
    /// `RATEGUARD_QUOTAS="app::search=5/60s; app::login=fixed_window:10/1h"`. Variables that are not set are none.
    /// [`RateGuard::from_env`](crate::RateGuard::from_env) does this as well.
    pub fn quotas_from_env(mut self) -> Self {
        if let Some(path) = env::var_os(FILE_VARIABLE) {
            self = self.quotas_in_file(FILE_VARIABLE, Path::new(&path));
        }
        match env::var(VARIABLE) {
            Ok(text) => self.quotas_of(VARIABLE, &text),
            Err(VarError::NotPresent) => self,
            Err(VarError::NotUnicode(_)) => self.refuse(ConfigError::unshown(VARIABLE, "it is not valid UTF-8")),
        }
    }

    fn quotas_in_file(self, setting: &str, path: &Path) -> Self {
        match std::fs::read_to_string(path) {
            Ok(text) => self.quotas_of(&format!("{setting}, {}", path.display()), &text),
            Err(error) => self.refuse(ConfigError::new(setting, path.display().to_string(), error.to_string())),
        }
    }

    fn quotas_of(mut self, source: &str, text: &str) -> Self {
        match parse::list(source, text) {
            Ok(quotas) => {
                self.quotas.extend(quotas);
                self
            }
            Err(error) => self.refuse(error),
        }
    }
}
