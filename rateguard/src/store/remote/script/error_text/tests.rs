//! Errors that real servers answered: Redis 6.2.5, 7.0.15 and 8.2.3, Valkey 8.1.8 and 9.1.2; to a command by itself, to a
//! script that caught the error (`redis.pcall`), to a script that caught and raised it again, and to a script that it ended.
//! Of the text of MISCONF only the beginning is kept.

use super::*;
use crate::error::StoreErrorKind::{
    Authentication, Busy, Forbidden, Other, OutOfMemory, ReadOnly, TooManyClients, WritesDisabled, WrongType,
};

const ANSWERS: &[(StoreErrorKind, &str)] = &[
    // All of them.
    (WrongType, "WRONGTYPE Operation against a key holding the wrong kind of value"),
    (Other, "ERR wrong number of arguments for 'zadd' command"),
    (ReadOnly, "READONLY You can't write against a read only replica."),
    (Busy, "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
    (OutOfMemory, "OOM command not allowed when used memory > 'maxmemory'."),
    (WritesDisabled, "NOREPLICAS Not enough good replicas to write."),
    (Authentication, "WRONGPASS invalid username-password pair or user is disabled."),
    (Authentication, "NOAUTH Authentication required."),
    (TooManyClients, "ERR max number of clients reached"),
    (Busy, "CLUSTERDOWN Hash slot not served"),
    (Other, "CROSSSLOT Keys in request don't hash to the same slot"),
    (Busy, "CLUSTERDOWN The cluster is down"),
    // Redis 6.2, Redis 7.0, Redis 8.2.
    (Other, "NOSCRIPT No matching script. Please use EVAL."),
    (Busy, "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."),
    // Redis 7.0, Redis 8.2, Valkey 8.1.
    (
        WrongType,
        "WRONGTYPE Operation against a key holding the wrong kind of value script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    (
        ReadOnly,
        "READONLY You can't write against a read only replica. script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    (
        OutOfMemory,
        "OOM command not allowed when used memory > 'maxmemory'. script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    (
        WritesDisabled,
        "NOREPLICAS Not enough good replicas to write. script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    (
        Busy,
        "ERR Script attempted to execute a command while the cluster is down script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    // Redis 8.2, Valkey 8.1, Valkey 9.1.
    (Forbidden, "NOPERM User u has no permissions to run the 'zadd' command"),
    (Forbidden, "ERR ACL failure in script: User u has no permissions to run the 'zadd' command"),
    (Forbidden, "NOPERM No permissions to access a key"),
    (Forbidden, "ERR ACL failure in script: No permissions to access a key"),
    (Forbidden, "NOPERM User u has no permissions to run the 'eval' command"),
    (
        Authentication,
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
    ),
    // Redis 6.2, Redis 7.0.
    (Forbidden, "NOPERM this user has no permissions to access one of the keys used as arguments"),
    (
        Authentication,
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
    ),
    // Redis 7.0, Redis 8.2.
    (Other, "ERR Wrong number of args calling Redis command from script"),
    (
        Other,
        "ERR Wrong number of args calling Redis command from script script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    (
        Other,
        "ERR Script killed by user with SCRIPT KILL... script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    (
        WritesDisabled,
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    ),
    (
        WritesDisabled,
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    // Redis 8.2, Valkey 8.1.
    (
        Forbidden,
        "ERR ACL failure in script: User u has no permissions to run the 'zadd' command script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    (
        Forbidden,
        "ERR ACL failure in script: No permissions to access a key script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    (Busy, "ERR Script attempted to access a slot not served"),
    (
        Busy,
        "ERR Script attempted to access a slot not served script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    // Valkey 8.1, Valkey 9.1.
    (Other, "ERR Wrong number of args calling command from script"),
    (Other, "NOSCRIPT No matching script."),
    (Busy, "BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."),
    (
        WritesDisabled,
        "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    ),
    // Redis 6.2.
    (
        WrongType,
        "ERR Error running script (call to f_f7a30b55d015229d6c06795f156666fc91352763): @user_script:1: WRONGTYPE Operation against a key holding the wrong kind of value",
    ),
    (Other, "@user_script: 1: Wrong number of args calling Redis command From Lua script"),
    (
        Other,
        "ERR Error running script (call to f_f7a30b55d015229d6c06795f156666fc91352763): @user_script:1: @user_script: 1: Wrong number of args calling Redis command From Lua script",
    ),
    (ReadOnly, "@user_script: 1: -READONLY You can't write against a read only replica.\r\n"),
    (
        ReadOnly,
        "ERR Error running script (call to f_f7a30b55d015229d6c06795f156666fc91352763): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.",
    ),
    (ReadOnly, "@user_script: 1: -READONLY You can't write against a read only replica."),
    (OutOfMemory, "@user_script: 1: -OOM command not allowed when used memory > 'maxmemory'.\r\n"),
    (
        OutOfMemory,
        "ERR Error running script (call to f_f7a30b55d015229d6c06795f156666fc91352763): @user_script:1: @user_script: 1: -OOM command not allowed when used memory > 'maxmemory'.",
    ),
    (OutOfMemory, "@user_script: 1: -OOM command not allowed when used memory > 'maxmemory'."),
    (Forbidden, "NOPERM this user has no permissions to run the 'zadd' command or its subcommand"),
    (Forbidden, "@user_script: 1: The user executing the script can't run this command or subcommand"),
    (
        Forbidden,
        "ERR Error running script (call to f_f7a30b55d015229d6c06795f156666fc91352763): @user_script:1: @user_script: 1: The user executing the script can't run this command or subcommand",
    ),
    (
        Forbidden,
        "@user_script: 1: The user executing the script can't access at least one of the keys mentioned in the command arguments",
    ),
    (
        Forbidden,
        "ERR Error running script (call to f_f7a30b55d015229d6c06795f156666fc91352763): @user_script:1: @user_script: 1: The user executing the script can't access at least one of the keys mentioned in the command arguments",
    ),
    (Forbidden, "NOPERM this user has no permissions to run the 'eval' command or its subcommand"),
    (
        Other,
        "ERR Error running script (call to f_f7a30b55d015229d6c06795f156666fc91352763): @user_script:1: Script killed by user with SCRIPT KILL...",
    ),
    (
        WritesDisabled,
        "MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.",
    ),
    (
        WritesDisabled,
        "@user_script: 1: -MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.\r\n",
    ),
    (
        WritesDisabled,
        "ERR Error running script (call to f_f7a30b55d015229d6c06795f156666fc91352763): @user_script:1: @user_script: 1: -MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.",
    ),
    (
        WritesDisabled,
        "@user_script: 1: -MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.",
    ),
    (Busy, "@user_script: 1: Lua script attempted to access a non local key in a cluster node"),
    (
        Busy,
        "ERR Error running script (call to f_f7a30b55d015229d6c06795f156666fc91352763): @user_script:1: @user_script: 1: Lua script attempted to access a non local key in a cluster node",
    ),
    (
        Busy,
        "ERR Error running script (call to f_f7a30b55d015229d6c06795f156666fc91352763): @user_script:1: @user_script: 1: Lua script attempted to execute a command while the cluster is down",
    ),
    // Redis 7.0.
    (Forbidden, "NOPERM this user has no permissions to run the 'zadd' command"),
    (Forbidden, "ERR The user executing the script can't run this command or subcommand"),
    (
        Forbidden,
        "ERR The user executing the script can't run this command or subcommand script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    (
        Forbidden,
        "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments",
    ),
    (
        Forbidden,
        "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    (Forbidden, "NOPERM this user has no permissions to run the 'eval' command"),
    (Busy, "ERR Script attempted to access a non local key in a cluster node"),
    (
        Busy,
        "ERR Script attempted to access a non local key in a cluster node script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    // Valkey 8.1.
    (
        Other,
        "ERR Wrong number of args calling command from script script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    (
        Other,
        "ERR Script killed by user with SCRIPT KILL. script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    (
        WritesDisabled,
        "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk. script: f7a30b55d015229d6c06795f156666fc91352763, on @user_script:1.",
    ),
    // Valkey 9.1.
    (WrongType, "WRONGTYPE Operation against a key holding the wrong kind of value script: on @user_script:1."),
    (Other, "ERR Wrong number of args calling command from script script: on @user_script:1."),
    (ReadOnly, "READONLY You can't write against a read only replica. script: on @user_script:1."),
    (OutOfMemory, "OOM command not allowed when used memory > 'maxmemory'. script: on @user_script:1."),
    (WritesDisabled, "NOREPLICAS Not enough good replicas to write. script: on @user_script:1."),
    (
        Forbidden,
        "ERR ACL failure in script: User u has no permissions to run the 'zadd' command script: on @user_script:1.",
    ),
    (Forbidden, "ERR ACL failure in script: No permissions to access a key script: on @user_script:1."),
    (Other, "ERR Script killed by user with SCRIPT KILL. script: on @user_script:1."),
    (
        WritesDisabled,
        "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk. script: on @user_script:1.",
    ),
    (Busy, "ERR Attempted to access a non local key in a cluster node"),
    (Busy, "ERR Attempted to access a non local key in a cluster node script: on @user_script:1."),
    (Busy, "ERR Can not execute a command 'set' while the cluster is down script: on @user_script:1."),
];

#[test]
fn an_error_is_recognized_in_the_words_of_every_server_and_in_every_wrapping() {
    for (kind, text) in ANSWERS {
        assert_eq!(named(text).kind(), *kind, "{text}");
    }
}

/// The words by which a node is known to decide keys of several slots, in every server's wrapping; and others.
#[test]
fn a_key_of_another_node_is_recognized_in_the_words_of_every_server() {
    let known: Vec<_> = ANSWERS.iter().filter(|(_, text)| is_not_local(text)).collect();
    assert_eq!(known.len(), 6, "{known:?}");
    for (kind, text) in known {
        assert!(*kind == Busy && text.contains("non local key"), "{text}");
    }
}

#[test]
fn the_log_shows_an_error_without_its_wrapping_and_an_error_of_the_script_with_its_line() {
    for (text, shown) in [
        ("@user_script: 1: -OOM command not allowed.\r\n", "out_of_memory: OOM command not allowed."),
        (
            "ERR Error running script (call to f_f7): @user_script:7: @user_script: 7: -READONLY You can't write.",
            "read_only: READONLY You can't write.",
        ),
        (
            "user_script:9: attempt to index local 'x' (a nil value)",
            "other: user_script:9: attempt to index local 'x' (a nil value)",
        ),
    ] {
        assert_eq!(named(text).to_string(), shown);
    }
}

#[test]
fn the_first_word_is_found_only_where_a_server_puts_it() {
    assert_eq!(
        code("ERR Error running script (call to f_f7): @user_script:1: @user_script: 1: -READONLY You"),
        "READONLY"
    );
    assert_eq!(code("MASTERDOWN Link with MASTER is down"), "MASTERDOWN");
    for odd in
        ["", " ", "-", "@user_script:", "@user_script: x: -OOM", "ERR Error running script (call to", "ERR READONLY"]
    {
        assert_eq!(named(odd).kind(), Other, "{odd}");
    }
    // A key may have any text.
    let foreign =
        "WRONGTYPE ratelimit:{user:@user_script: 1: -READONLY }:p:sw holds a value that rateguard did not write";
    assert_eq!(named(foreign).kind(), WrongType);
    assert_eq!(code(foreign), "WRONGTYPE");
}
