//! `tracing::instrument`.

use super::*;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

#[rate_limit(limit = 2, window = 60)]
#[tracing::instrument]
async fn alone_below() -> &'static str {
    tracing::info!("inside");
    "alone"
}

#[tracing::instrument]
#[rate_limit(limit = 2, window = 60)]
async fn alone_above() -> &'static str {
    tracing::info!("inside");
    "alone"
}

#[rate_limit(limit = 2, window = 60)]
#[tracing::instrument(err, ret)]
async fn below(Path(id): Path<u32>) -> Result<String, String> {
    tracing::info!("inside");
    Err(format!("no {id}"))
}

#[tracing::instrument(err, ret)]
#[rate_limit(limit = 2, window = 60)]
async fn above(Path(id): Path<u32>) -> Result<String, String> {
    tracing::info!("inside");
    Err(format!("no {id}"))
}

#[rate_limit(limit = 2, window = 60, key = id)]
#[tracing::instrument(skip_all, fields(number = id), err, ret)]
async fn below_an_argument(Path(id): Path<u32>) -> Result<String, String> {
    tracing::info!("inside");
    Err(format!("no {id}"))
}

#[tracing::instrument(skip_all, fields(number = id), err, ret)]
#[rate_limit(limit = 2, window = 60, key = id)]
async fn above_an_argument(Path(id): Path<u32>) -> Result<String, String> {
    tracing::info!("inside");
    Err(format!("no {id}"))
}

#[rate_limit(limit = 2, window = 60, key = id)]
#[tracing::instrument(err, ret)]
async fn in_between(Path(id): Path<u32>) -> Result<String, String> {
    tracing::info!("inside");
    Ok(id.to_string())
}

async fn logged(log: &Log, route: MethodRouter) -> String {
    let app = App::new(Router::new().route("/{id}", route));
    log.take();
    let statuses = app.statuses(&["/7", "/7"]).await;
    assert_eq!(statuses[0], statuses[1]);
    let text = log.take();
    assert_eq!(app.get("/7").await.status, 429);
    assert!(!log.take().contains("inside"), "denied before the body");
    text
}

#[tokio::test]
async fn sees_the_function_as_it_is_written_above_or_below() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    for (route, span, event) in [
        (get(alone_below), "alone_below:", "inside"),
        (get(alone_above), "alone_above:", "inside"),
        (get(below), "below{id=7}:", "error=no 7"),
        (get(above), "above{id=7}:", "error=no 7"),
        (get(below_an_argument), "below_an_argument{number=7}:", "error=no 7"),
        (get(above_an_argument), "above_an_argument{number=7}:", "error=no 7"),
        (get(in_between), "in_between{id=7}:", "return=\"7\""),
    ] {
        let text = logged(&log, route).await;
        assert!(text.lines().any(|line| line.contains(span) && line.contains("inside")), "{span}\n{text}");
        assert!(text.lines().any(|line| line.contains(span) && line.contains(event)), "{span}\n{text}");
    }
}
