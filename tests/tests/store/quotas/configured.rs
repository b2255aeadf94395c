//! Quotas from the builder, a file or the environment.

use super::*;

#[tokio::test]
async fn quotas_come_from_the_builder_a_text_and_a_file_and_the_last_one_counts() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "# the file's\nsearch = 6/1m\nlogin = token_bucket:2/1m # as before\n").unwrap();
    let builder = || RateGuard::builder().quota("search", quota("4/1m"));
    assert_eq!(limit_of(builder(), "search").await, 4);
    assert_eq!(limit_of(builder().quotas("search=5/1m; a=1/1s"), "search").await, 5);
    assert_eq!(limit_of(builder().quotas_from_file(file.path()), "search").await, 6);
    assert_eq!(limit_of(builder().quotas_from_file(file.path()), "login").await, 2);
    assert_eq!(
        limit_of(RateGuard::builder().quotas_from_file(file.path()).quota("search", quota("7/1m")), "search").await,
        7
    );
    assert_eq!(limit_of(builder(), "other").await, 3);
}

#[test]
fn what_cannot_be_read_is_an_error_that_says_where_and_what_to_write() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "search = 6/1m\nlogin = 5 per minute\n").unwrap();
    let path = file.path().display().to_string();
    let error =
        |builder: RateGuardBuilder| builder.build().map_or_else(|error| error.to_string(), |_| panic!("it was taken"));
    for (builder, said) in [
        (
            RateGuard::builder().quota("a b", quota("1/1s")),
            "quota = \"a b\": the name of a policy has a space".to_owned(),
        ),
        (RateGuard::builder().quotas("x=1"), "quotas, line 1 = \"x=1\": there is no `/`".to_owned()),
        (
            RateGuard::builder().quotas_from_file(file.path()),
            format!("quotas_from_file, {path}, line 2 = \"login = 5 per minute\": there is no `/`"),
        ),
        (
            RateGuard::builder().quotas_from_file("/nowhere/quotas"),
            "quotas_from_file = \"/nowhere/quotas\": No such file".to_owned(),
        ),
        (RateGuard::builder().quotas("x=1").quotas("y=2/1s"), "x=1".to_owned()),
    ] {
        let error = error(builder);
        assert!(error.contains(&said), "{error}");
    }
}

/// Not a test: what the next one runs, each time under an environment of its own.
#[tokio::test]
#[ignore = "a program of the test below"]
async fn the_program_that_reads_the_environment() {
    match RateGuard::from_env() {
        Err(error) => println!("ERROR {error}"),
        Ok(limiter) => {
            for name in ["search", "login"] {
                let policy = Policy::new(name, quota("3/1m"));
                println!("{name} {}", limiter.check(&policy, &client()).await.quota());
            }
        }
    }
}

#[test]
fn the_environment_sets_quotas_and_a_mistake_in_it_keeps_the_program_from_starting() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "search = 6/1m\nlogin = 7/1m\n").unwrap();
    let path = file.path().to_str().unwrap();
    let run = |variables: &[(&str, &str)]| {
        let program = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "quotas::configured::the_program_that_reads_the_environment", "--ignored", "--nocapture"])
            .env_remove("REDIS_URL")
            .env_remove("UPSTASH_REDIS_REST_URL")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let output = String::from_utf8(program.stdout).unwrap();
        let said = |line: &&str| ["ERROR", "search", "login"].iter().any(|word| line.starts_with(word));
        output.lines().filter(said).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(run(&[]), ["search 3/1m", "login 3/1m"]);
    assert_eq!(run(&[("RATEGUARD_QUOTAS", "search=5/60s")]), ["search 5/1m", "login 3/1m"]);
    assert_eq!(run(&[("RATEGUARD_QUOTAS", " ")]), ["search 3/1m", "login 3/1m"]);
    assert_eq!(run(&[("RATEGUARD_QUOTAS_FILE", path)]), ["search 6/1m", "login 7/1m"]);
    let both = [("RATEGUARD_QUOTAS_FILE", path), ("RATEGUARD_QUOTAS", "search=fixed_window:5/60s")];
    assert_eq!(run(&both), ["search fixed_window:5/1m", "login 7/1m"]);
    let wrong = run(&[("RATEGUARD_QUOTAS", "search=5/sixty")]);
    assert!(
        wrong[0].starts_with("ERROR rateguard: RATEGUARD_QUOTAS, line 1 = \"search=5/sixty\": the window `sixty`"),
        "{wrong:?}"
    );
    assert!(run(&[("RATEGUARD_QUOTAS_FILE", "/nowhere")])[0].contains("RATEGUARD_QUOTAS_FILE = \"/nowhere\""));
}
