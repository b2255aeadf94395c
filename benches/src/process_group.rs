//! A process group of the program's own, so that the servers and load generators that it starts end with it, even if it is
//! killed.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Set in the process that measures.
const INSIDE: &str = "RATEGUARD_BENCHES_INSIDE";

/// Runs `program` in a second process, which leads a new process group. If one of the two processes is killed, by Ctrl-C or
/// in another way, all processes of the group are killed.
pub fn run(program: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        std::thread::spawn(|| {
            // Nothing is ever written. The pipe ends when the process that started this one ends.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            kill(std::process::id());
        });
        program();
        return;
    }
    let arguments = std::env::args_os().skip(1);
    let inside = std::env::current_exe().and_then(|path| {
        Command::new(path).args(arguments).env(INSIDE, "1").stdin(Stdio::piped()).process_group(0).spawn()
    });
    let mut inside = match inside {
        Ok(inside) => inside,
        Err(error) => stop(&format!("this program cannot be started again: {error}")),
    };
    let pipe = inside.stdin.take();
    let code = match inside.wait() {
        Ok(status) => status.code(),
        Err(error) => stop(&error.to_string()),
    };
    drop(pipe);
    let Some(code) = code else {
        kill(inside.id());
        stop("killed");
    };
    std::process::exit(code);
}

/// Kills a group by a shell, since the standard library can only kill single processes.
fn kill(group: u32) {
    let _ = Command::new("sh").args(["-c", &format!("kill -s KILL -- -{group}")]).stderr(Stdio::null()).status();
}

fn stop(why: &str) -> ! {
    eprintln!("{why}");
    std::process::exit(1)
}
