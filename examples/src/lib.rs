//! The examples are the files beside this folder. This library has the code that they share: where they listen.

use std::env::{self, VarError};
use std::error::Error;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

/// Listens on `127.0.0.1`, on port 3000 or on `PORT`, and prints commands to try. In the commands,
/// `URL` stands for `http://` and the address, `HOST` for the address alone.
///
/// # Errors
///
/// If `PORT` is not a number, or if the port is taken.
pub async fn listen(commands: &[&str]) -> Result<TcpListener, CannotListen> {
    let port = port(env::var("PORT"))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        CannotListen(format!(
            "cannot listen on 127.0.0.1:{port}: {error}. Choose another port with PORT=3001, or PORT=0"
        ))
    })?;
    let host = listener.local_addr().map_err(|error| CannotListen(error.to_string()))?.to_string();
    let url = format!("http://{host}");
    println!("Listening on {url}. Try:");
    for command in commands {
        println!("  {}", command.replace("URL", &url).replace("HOST", &host));
    }
    Ok(listener)
}

/// A client at this address, for tests without a connection. For a real connection,
/// `into_make_service_with_connect_info` puts the same value into the request.
pub fn client(address: impl Into<std::net::IpAddr>) -> axum::extract::ConnectInfo<SocketAddr> {
    axum::extract::ConnectInfo(SocketAddr::new(address.into(), 50_000))
}

fn port(variable: Result<String, VarError>) -> Result<u16, CannotListen> {
    match variable {
        Err(VarError::NotPresent) => Ok(3000),
        Ok(text) => text.parse().map_err(|_| text),
        Err(VarError::NotUnicode(text)) => Err(text.to_string_lossy().into_owned()),
    }
    .map_err(|text| CannotListen(format!("PORT = {text:?}: use a number from 0 to 65535 (0: any free port)")))
}

/// The reason why a program cannot start. It reads as a sentence, even if `main` returns it.
pub struct CannotListen(String);

impl fmt::Display for CannotListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CannotListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for CannotListen {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_3000_unless_the_environment_says_another() {
        assert_eq!(port(Err(VarError::NotPresent)).unwrap(), 3000);
        assert_eq!(port(Ok("0".to_owned())).unwrap(), 0);
        for wrong in ["", "http", "65536", "-1"] {
            let error = port(Ok(wrong.to_owned())).unwrap_err().to_string();
            assert!(error.contains("PORT") && error.contains(&format!("{wrong:?}")), "{error}");
        }
    }
}
