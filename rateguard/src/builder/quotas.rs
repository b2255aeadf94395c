//! Overrides that are set when the program starts.

use std::env::{self, VarError};
use std::path::Path;

use super::RateGuardBuilder;
use crate::error::ConfigError;
use crate::policy::Policy;
use crate::quota::Quota;
use crate::quota::parse;

const VARIABLE: &str = "RATEGUARD_QUOTAS";
const FILE_VARIABLE: &str = "RATEGUARD_QUOTAS_FILE";

/// Overrides: quotas by the name of a policy, in place of those in the program.
impl RateGuardBuilder {
    /// Sets the quota of the policies of this name, in place of the one in the attribute or the layer. If there are several
    /// for one name, the last one applies. For a name that no policy has, see
    /// [`RateGuard::set_quota`](crate::RateGuard::set_quota).
    pub fn quota(mut self, name: impl Into<String>, quota: Quota) -> Self {
        let name = name.into();
        match Policy::try_new(name.clone(), quota) {
            Ok(_) => self.settings.quotas.insert(name, quota),
            Err(error) => return self.mistaken(ConfigError::new("quota", name, error.to_string())),
        };
        self
    }

    /// Overrides from text: `policy = quota`, one per line or separated by `;`. A `#` begins a comment. A quota is written
    /// in the text form of [`Quota`]: `[algorithm:]limit/window[:burst=n]`. Without an algorithm it is a sliding window,
    /// whatever the policy in the program has.
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
    /// A name that contains `=` or `;` cannot be written here; use [`quota`](Self::quota) for it.
    pub fn quotas(self, text: impl AsRef<str>) -> Self {
        self.quotas_of("quotas", text.as_ref())
    }

    /// Overrides from a file, in the form of [`quotas`](Self::quotas). The file is read once, by this call. If it cannot be
    /// read, [`build`](Self::build) returns an error.
    pub fn quotas_from_file(self, path: impl AsRef<Path>) -> Self {
        self.quotas_in_file("quotas_from_file", path.as_ref())
    }

    /// Overrides from the environment, in the form of [`quotas`](Self::quotas): first those in the file that
    /// `RATEGUARD_QUOTAS_FILE` names, then those in `RATEGUARD_QUOTAS`, such as
    /// `RATEGUARD_QUOTAS="app::search=5/60s; app::login=fixed_window:10/1h"`. A variable that is not set adds none.
    /// [`RateGuard::from_env`](crate::RateGuard::from_env) includes this.
    pub fn quotas_from_env(mut self) -> Self {
        if let Some(path) = env::var_os(FILE_VARIABLE) {
            self = self.quotas_in_file(FILE_VARIABLE, Path::new(&path));
        }
        match env::var(VARIABLE) {
            Ok(text) => self.quotas_of(VARIABLE, &text),
            Err(VarError::NotPresent) => self,
            Err(VarError::NotUnicode(_)) => self.mistaken(ConfigError::unshown(VARIABLE, "it is not valid UTF-8")),
        }
    }

    fn quotas_in_file(self, setting: &str, path: &Path) -> Self {
        match std::fs::read_to_string(path) {
            Ok(text) => self.quotas_of(&format!("{setting}, {}", path.display()), &text),
            Err(error) => self.mistaken(ConfigError::new(setting, path.display().to_string(), error.to_string())),
        }
    }

    fn quotas_of(mut self, source: &str, text: &str) -> Self {
        match parse::list(source, text) {
            Ok(quotas) => {
                self.settings.quotas.extend(quotas);
                self
            }
            Err(error) => self.mistaken(error),
        }
    }
}
