//! The event stream: no gap, no repeat, an honest end.

use capsule_api::{EventKind, Role};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{UnixStream, unix::OwnedReadHalf},
    time::timeout,
};

use crate::{
    api::testing::{DEADLINE, TestApi, peer},
    store::{Lane, StoreError},
    usecases::events::{Feed, Next},
};

/// A client of the stream.
struct Reader {
    lines: Lines<BufReader<OwnedReadHalf>>,
    _writer: tokio::net::unix::OwnedWriteHalf,
}

/// One server-sent event: id, kind, data.
type Seen = (String, String, serde_json::Value);

impl Reader {
    async fn open(api: &TestApi, query: &str, last_id: Option<&str>) -> Self {
        let stream: UnixStream = api.connect().await;
        let (reader, mut writer) = stream.into_split();
        let last_id = last_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!("GET /v1/events{query} HTTP/1.1\r\nHost: capsule\r\n{last_id}\r\n");
        writer.write_all(request.as_bytes()).await.expect("sent");
        Self { lines: BufReader::new(reader).lines(), _writer: writer }
    }

    /// The next event that has data.
    async fn next(&mut self) -> Seen {
        timeout(DEADLINE, self.next_unbounded()).await.expect("an event in time")
    }

    async fn next_unbounded(&mut self) -> Seen {
        let (mut id, mut kind) = (String::new(), String::new());
        loop {
            let line = self.lines.next_line().await.expect("readable").expect("the stream goes on");
            if let Some(text) = line.strip_prefix("id: ") {
                text.clone_into(&mut id);
            } else if let Some(text) = line.strip_prefix("event: ") {
                text.clone_into(&mut kind);
            } else if let Some(text) = line.strip_prefix("data: ") {
                return (id, kind, serde_json::from_str(text).expect("JSON"));
            }
        }
    }

    async fn names(&mut self, count: usize) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..count {
            let (_, kind, data) = self.next().await;
            assert_eq!(kind, "xnode_created");
            names.push(data["data"]["name"].as_str().expect("a name").to_owned());
        }
        names
    }
}

#[tokio::test]
async fn a_reader_that_was_away_misses_nothing_and_sees_nothing_twice() {
    let api = TestApi::start().await;
    let mut first = Reader::open(&api, "", None).await;
    // The head of the answer tells that the subscription stands.
    while !first.lines.next_line().await.expect("readable").expect("a head").starts_with("id: ") {}
    api.add_xnode("a").await;
    let (id, kind, data) = first.next().await;
    assert_eq!(
        (kind.as_str(), &data["id"], &data["kind"]),
        ("xnode_created", &json!(id), &json!("xnode_created"))
    );
    drop(first);

    for name in ["b", "c", "d"] {
        api.add_xnode(name).await;
    }
    let mut again = Reader::open(&api, "", Some(&id)).await;
    let more = async {
        for name in ["e", "f"] {
            api.add_xnode(name).await;
        }
    };
    let (names, ()) = tokio::join!(again.names(5), more);
    assert_eq!(names, ["b", "c", "d", "e", "f"]);
    let mut by_query = Reader::open(&api, &format!("?since={id}"), None).await;
    assert_eq!(by_query.names(5).await, names);
}

#[tokio::test]
async fn only_the_kinds_asked_for_are_sent() {
    let api = TestApi::start().await;
    let xnode = api.add_xnode("a").await;
    let tag = json!({"hourly_limit_micros": 1_000_000});
    assert_eq!(api.put("/v1/budgets/global/global").json(tag).send().await.status, 200);
    api.delete(&format!("/v1/xnodes/{}", xnode.id)).header("if-match", "*").send().await;
    let start = format!("?since={}-0&kinds=settings_changed,xnode_deleted", api.context.store.epoch());
    let mut reader = Reader::open(&api, &start, None).await;
    assert_eq!(reader.next().await.1, "settings_changed");
    assert_eq!(reader.next().await.1, "xnode_deleted");
}

#[tokio::test]
async fn a_point_that_is_not_known_any_more_is_gone() {
    let api = TestApi::start().await;
    api.add_xnode("a").await;
    let epoch = api.context.store.epoch().to_owned();
    for id in ["other-1".to_owned(), format!("{epoch}-99"), "nonsense".to_owned()] {
        let reply = api.get("/v1/events").header("last-event-id", id).send().await;
        reply.is_problem(410, "events_gone");
        assert!(reply.json["hint"].as_str().is_some_and(|hint| hint.contains("present state")));
    }
}

async fn emit(api: &TestApi, count: usize) {
    let emitted: Result<(), StoreError> = api
        .context
        .store
        .write(Lane::Normal, move |tx| {
            Box::pin(async move {
                for n in 0..count {
                    let data = json!({"n": n, "headers": {"authorization": "s3cret"}});
                    tx.emit(EventKind::SettingsChanged, "settings", &data).await?;
                }
                Ok(())
            })
        })
        .await;
    emitted.expect("emitted");
}

#[tokio::test]
async fn a_slow_reader_is_told_and_can_come_back() {
    let api = TestApi::start().await;
    let mut feed = Feed::open(&api.context, None, Vec::new(), Role::Admin).await.expect("open");
    emit(&api, 1).await;
    assert!(matches!(feed.next().await, Ok(Next::Event(_))));
    let position = feed.position();
    emit(&api, 5_000).await;
    assert!(matches!(feed.next().await, Ok(Next::Lagged(missed)) if 0 < missed));

    let mut again = Feed::open(&api.context, Some(&position), Vec::new(), Role::Admin).await.expect("open");
    for n in 0..5_000 {
        let Ok(Next::Event(event)) = again.next().await else { panic!("event {n} is missing") };
        assert_eq!(event.data["n"], n);
    }
}

#[tokio::test]
async fn readers_do_not_see_secrets_in_events() {
    let api = TestApi::start().await;
    let mut feed = Feed::open(&api.context, None, Vec::new(), Role::Reader).await.expect("open");
    emit(&api, 1).await;
    let Ok(Next::Event(event)) = feed.next().await else { panic!("an event") };
    assert_eq!(event.data["headers"]["authorization"], "***");
    let strange = api.get("/v1/events").by(peer(4_000, None)).send().await;
    strange.is_problem(403, "no_role");
}
