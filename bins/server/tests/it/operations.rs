//! What operators look at: health, metrics, documents, limits.

use reqwest::Method;
use serde_json::json;

use super::support::Bench;

#[tokio::test]
async fn health_metrics_and_documents_need_no_token() {
    let bench = Bench::start().await;
    let get =
        async |path: &str| bench.admin.raw(Method::GET, &format!("{}{path}", bench.admin.base), Vec::new(), &[]).await;
    assert_eq!(get("/health/live").await.expect(200)["status"], "live");
    let ready = get("/health/ready").await;
    assert_eq!(ready.header("x-content-type-options"), Some("nosniff"));
    let ready = ready.expect(200);
    for check in ["database_write", "schema", "clock", "disk", "running"] {
        assert_eq!(ready["checks"][check], "ok", "{ready}");
    }
    bench.admin.get("/me").await.expect(200);
    let metrics = get("/metrics").await.expect(200);
    let metrics = metrics.as_str().unwrap();
    assert!(
        metrics.contains("transom_http_requests_total{method=\"GET\",pattern=\"/v1/me\",status=\"2xx\"}"),
        "{metrics}"
    );
    assert!(metrics.contains("transom_outbox_due 0") && metrics.contains("transom_quarantine_items 0"), "{metrics}");
    assert!(!metrics.contains(&bench.admin.token));
    assert_eq!(get("/openapi.json").await.expect(200), *transom_server::api::document());
    let page = get("/docs").await;
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert!(page.expect(200).as_str().unwrap().contains("swagger"));
    get("/nowhere").await.refused(404, "not_found");
    bench.stop().await;
}

#[tokio::test]
async fn a_token_that_asks_too_often_waits() {
    let bench = Bench::with(|mut config| {
        config.limits.requests_per_second = 2;
        config
    })
    .await;
    let mut refused = None;
    for _ in 0..10 {
        let reply = bench.admin.get("/me").await;
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("ten requests at once went through");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.refused(429, "too_many_requests")["retryable"], true);
    bench.stop().await;
}

#[tokio::test]
async fn every_answer_has_the_id_under_which_it_is_logged() {
    let bench = Bench::start().await;
    let (first, second) = (bench.admin.get("/me").await, bench.admin.get("/nowhere").await);
    assert!(first.header("x-request-id").is_some());
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    bench.stop().await;
}

#[tokio::test]
async fn requests_in_hand_are_finished_when_the_service_stops() {
    let bench = Bench::start().await;
    let client = bench.admin.clone();
    let many: Vec<_> = (0..50)
        .map(|index| {
            let client = client.clone();
            tokio::spawn(async move {
                let request =
                    client.request(Method::POST, "/contacts").json(&json!({ "display_name": format!("C{index}") }));
                request.send().await.map(|answer| answer.status().as_u16())
            })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    bench.stop().await;
    for task in many {
        // Made, or never begun: nothing is cut off in the middle.
        if let Ok(status) = task.await.unwrap() {
            assert_eq!(status, 201);
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_needs_no_restart() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    let storage = bench.server.desk().storage().clone();
    let bearer = format!("Bearer {}", bench.admin.token);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let contacts = format!("{}/v1/contacts", bench.admin.base);
    let add = async |name: String| {
        let body = json!({ "display_name": name }).to_string().into_bytes();
        bench.admin.raw(Method::POST, &contacts, body, &headers).await
    };
    storage.limit_pages_for_tests(Some(0)).await.unwrap();
    let mut refused = None;
    for index in 0..200 {
        let reply = add(format!("Contact {index} {}", "x".repeat(150))).await;
        if reply.status != 201 {
            refused = Some(reply);
            break;
        }
    }
    let problem = refused.expect("200 contacts went onto a full disk").refused(503, "storage_full");
    assert_eq!((&problem["retryable"], &problem["retry_after"]), (&json!(true), &json!(30)));
    bench.admin.get("/contacts").await.expect(200);

    // The platform hears that it has to call again.
    let body =
        json!({ "object": "whatsapp_business_account", "entry": [{ "padding": "x".repeat(2_000_000) }] }).to_string();
    let proof = super::webhooks::signed(&account, body.as_bytes());
    let headers = [("content-type", "application/json"), ("x-hub-signature-256", proof.as_str())];
    let call = || bench.admin.raw(Method::POST, &account.webhook_url, body.clone().into_bytes(), &headers);
    // The writer may have a new connection by now, without the limit.
    storage.limit_pages_for_tests(Some(0)).await.unwrap();
    call().await.refused(503, "storage_full");

    storage.limit_pages_for_tests(None).await.unwrap();
    add("After".to_owned()).await.expect(201);
    assert_eq!(call().await.status, 200);
    bench.stop().await;
}
