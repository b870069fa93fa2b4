//! The page at `/docs`: Scalar with the document inside and its script beside it.
//!
//! The script is vendored (see `assets/README.md`), compressed as it is sent.

use utoipa::openapi::OpenApi;
use utoipa_scalar::Scalar;

/// Scalar's stand-alone script, compressed with gzip.
pub(super) const SCRIPT_GZIP: &[u8] = include_bytes!("../../assets/scalar.js.gz");

/// The page. Fonts are the system's, and nothing is loaded from elsewhere.
const TEMPLATE: &str = r#"<!doctype html>
<html lang="en">
<head>
  <title>$title</title>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="referrer" content="no-referrer">
</head>
<body>
<script id="api-reference" type="application/json"
  data-configuration='{"withDefaultFonts": false, "telemetry": false, "hideClientButton": true, "hideTestRequestButton": true}'>
$spec
</script>
<script src="/docs/scalar.js"></script>
</body>
</html>
"#;

/// The page for `document`.
pub(super) fn render(document: OpenApi) -> String {
    let page = Scalar::new(document).title("Capsule API").custom_html(TEMPLATE).to_html();
    debug_assert!(page.contains("openapi"), "the template has a place for the document");
    page
}
