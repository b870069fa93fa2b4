//! The document is the code.

use std::{collections::BTreeSet, path::Path};

use crate::{
    api::{access::Operations, document, openapi_json, routes, testing::TestApi},
    rules::access,
};

fn operation_ids() -> Vec<String> {
    Operations::of(&routes().into_openapi()).ids()
}

#[test]
fn the_committed_document_is_the_one_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/openapi.json");
    let made = openapi_json();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &made).expect("the document can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "openapi/openapi.json is stale: run `UPDATE_OPENAPI=1 cargo test -p capsuled document`"
    );
}

#[test]
fn every_operation_has_an_access_rule_and_every_rule_an_operation() {
    let ids: BTreeSet<String> = operation_ids().into_iter().collect();
    let ruled: BTreeSet<String> = access::OPERATIONS.iter().map(|(id, _)| (*id).to_owned()).collect();
    assert_eq!(ids, ruled);
}

#[test]
fn operation_ids_are_unique_and_every_operation_is_documented() {
    let ids = operation_ids();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    let mut made = routes().into_openapi();
    document::complete(&mut made);
    let tags: BTreeSet<_> = made.tags.unwrap_or_default().into_iter().map(|tag| tag.name).collect();
    for (path, item) in made.paths.paths {
        let operations = [item.get, item.put, item.post, item.patch, item.delete];
        for operation in operations.into_iter().flatten() {
            let id = operation.operation_id.clone().unwrap_or_default();
            assert!(operation.summary.is_some_and(|text| !text.is_empty()), "{path} {id} has no summary");
            assert!(operation.tags.unwrap_or_default().iter().all(|tag| tags.contains(tag)), "{path} {id}");
            assert!(operation.responses.responses.contains_key("default"), "{path} {id} never fails?");
        }
    }
}

#[tokio::test]
async fn the_document_and_its_page_need_nothing_from_elsewhere() {
    let api = TestApi::start().await;
    let document = api.get("/v1/openapi.json").send().await;
    assert_eq!(document.json["openapi"], "3.1.0");
    let page = api.get("/docs").send().await;
    assert!(page.text.contains("create_xnode") && page.text.contains("src=\"/docs/scalar.js\""));
    assert!(!page.text.contains("<script src=\"http") && !page.text.contains("cdn."));
    assert_eq!(page.text.matches("</script>").count(), 2, "the document does not end its own script element");
    let script = api.get("/docs/scalar.js").send().await;
    assert_eq!((script.status, script.header("content-encoding")), (200, "gzip"));
}

#[tokio::test]
async fn monitoring_systems_are_served() {
    let api = TestApi::start().await;
    api.add_xnode("web-1").await;
    assert_eq!(api.get("/healthz").send().await.text, "ok\n");
    assert_eq!(api.get("/readyz").send().await.text, "ready\n");
    assert_eq!(api.get("/metrics").send().await.status, 200);
    let targets = api.get("/v1/sd/prometheus?port=9101").send().await;
    assert_eq!(targets.json[0]["targets"][0], "192.0.2.10:9101");
    assert_eq!(targets.json[0]["labels"]["__meta_capsule_name"], "web-1");
}
