//! Hetzner Cloud as its API version 1 speaks: labels instead of tags, prices as texts, and an action for
//! every change.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    speech::{Answer, Refusal, Request, Speech, paged},
    switches::Settings,
    world::{Action, FakeInstance, FakeKey, NewFake, Phase, Plan, World, plan},
};

const PLANS: &[Plan] = &[
    plan("cx22", (2, 4096, 40, 20_000), (0.006, 3.79), 0),
    plan("cx32", (4, 8192, 80, 20_000), (0.0113, 6.8), 0),
    plan("cpx11", (2, 2048, 40, 20_000), (0.007, 4.35), 0),
    plan("cax11", (2, 4096, 40, 20_000), (0.006, 3.79), 0),
    plan("ccx13", (2, 8192, 80, 20_000), (0.02, 12.49), 0),
];

/// Id, name, system, version, architecture.
const IMAGES: &[(u64, &str, &str, &str, &str)] = &[
    (161_547_269, "ubuntu-24.04", "ubuntu", "24.04", "x86"),
    (161_547_270, "ubuntu-24.04", "ubuntu", "24.04", "arm"),
    (67_794_396, "ubuntu-22.04", "ubuntu", "22.04", "x86"),
    (114_690_387, "debian-12", "debian", "12", "x86"),
    (114_690_389, "debian-12", "debian", "12", "arm"),
    (310_557_660, "debian-13", "debian", "13", "x86"),
];

const ACTIONS: &[&str] = &["poweron", "poweroff", "shutdown", "reboot", "reset"];

pub(super) const SPEECH: Speech = Speech {
    plans: PLANS,
    places: &[
        ("fsn1", "Falkenstein", "DE"),
        ("nbg1", "Nuremberg", "DE"),
        ("hel1", "Helsinki", "FI"),
        ("ash", "Ashburn, VA", "US"),
    ],
    image: "ubuntu-24.04",
    numeric_ids: true,
    credential: ("authorization", "Bearer "),
    is_public: |_| false,
    is_creation: |request| request.method == Method::POST && request.path == "/v1/servers",
    answer,
    refuse,
};

fn refuse(refusal: Refusal) -> Answer {
    let (status, code, message) = match refusal {
        Refusal::Unauthorised => (401, "unauthorized", "unable to authenticate".to_owned()),
        Refusal::OutOfStock => {
            (412, "resource_unavailable", "server type is currently not available".to_owned())
        }
        Refusal::Quota => (403, "resource_limit_exceeded", "server limit reached".to_owned()),
        Refusal::Failing(429) => {
            (429, "rate_limit_exceeded", "limit of 3600 requests per hour reached".to_owned())
        }
        Refusal::Failing(503) => (503, "unavailable", "service temporarily unavailable".to_owned()),
        Refusal::Failing(status) => (status, "server_error", "an internal error occurred".to_owned()),
        Refusal::NotFound => (404, "not_found", "resource not found".to_owned()),
        Refusal::Invalid(message) => (422, "invalid_input", message),
        Refusal::Conflict(message) => (423, "locked", message),
    };
    Answer::json(status, &json!({"error": {"code": code, "message": message, "details": null}}))
}

fn answer(request: &Request, world: &mut World, settings: &mut Settings) -> Answer {
    let parts = request.parts();
    let Some((&"v1", path)) = parts.split_first() else { return refuse(Refusal::NotFound) };
    match (request.method.as_str(), path) {
        ("GET", ["server_types"]) => {
            list(request, "server_types", &PLANS.iter().map(|p| kind(p, world)).collect::<Vec<_>>())
        }
        ("GET", ["server_types", id]) => one("server_type", PLANS.iter().map(|p| kind(p, world)), id),
        ("GET", ["locations"]) => {
            list(request, "locations", &SPEECH.places.iter().map(location).collect::<Vec<_>>())
        }
        ("GET", ["datacenters"]) => {
            let all: Vec<Value> = SPEECH.places.iter().map(|place| datacenter(place, world)).collect();
            let (part, meta) = page(request, &all);
            Answer::ok(&json!({"datacenters": part, "recommendation": 1, "meta": meta}))
        }
        ("GET", ["datacenters", id]) => {
            one("datacenter", SPEECH.places.iter().map(|place| datacenter(place, world)), id)
        }
        ("GET", ["pricing"]) => Answer::ok(&pricing(world)),
        ("GET", ["images"]) => {
            let wanted = |field: &str, value: &str| request.query(field).is_none_or(|wanted| wanted == value);
            let found = IMAGES.iter().filter(|own| wanted("name", own.1) && wanted("architecture", own.4));
            list(request, "images", &found.map(image).collect::<Vec<_>>())
        }
        ("GET", ["images", id]) => one("image", IMAGES.iter().map(image), id),
        (_, ["ssh_keys", rest @ ..]) => keys(request, rest, world),
        ("GET", ["actions", id] | ["servers", _, "actions", id] | ["servers", "actions", id]) => {
            match id.parse().ok().and_then(|id| world.look_at_action(id)) {
                Some((action, over)) => Answer::ok(&json!({"action": render(&action, over)})),
                None => refuse(Refusal::NotFound),
            }
        }
        (_, ["servers", rest @ ..]) => servers(request, rest, world, settings),
        _ => refuse(Refusal::NotFound),
    }
}

fn page(request: &Request, items: &[Value]) -> (Vec<Value>, Value) {
    let (page, size) = request.page("per_page", 25, 50);
    let (part, last) = paged(items, (page, size));
    let next = (page < last).then_some(page + 1);
    let previous = (1 < page).then(|| page - 1);
    let meta = json!({"pagination": {"page": page, "per_page": size, "previous_page": previous, "next_page": next,
        "last_page": last, "total_entries": items.len()}});
    (part, meta)
}

fn list(request: &Request, name: &str, items: &[Value]) -> Answer {
    let (part, meta) = page(request, items);
    Answer::ok(&json!({name: part, "meta": meta}))
}

fn one(name: &str, mut items: impl Iterator<Item = Value>, id: &str) -> Answer {
    match items.find(|item| item["id"].as_u64() == id.parse().ok()) {
        Some(item) => Answer::ok(&json!({name: item})),
        None => refuse(Refusal::NotFound),
    }
}

/// Net and gross, in texts with ten digits as Hetzner writes them.
fn price(amount: f64) -> Value {
    json!({"net": format!("{amount:.10}"), "gross": format!("{:.10}", amount * 1.19)})
}

fn prices(plan: &Plan, world: &World) -> Vec<Value> {
    let (hourly, monthly) = world.price(plan);
    let at = |place: &str| json!({"location": place, "price_hourly": price(hourly), "price_monthly": price(monthly)});
    SPEECH.places.iter().map(|place| at(place.0)).collect()
}

fn kind_id(name: &str) -> usize {
    100 + PLANS.iter().position(|plan| plan.name == name).unwrap_or_default()
}

fn architecture(plan: &str) -> &'static str {
    if plan.starts_with("cax") { "arm" } else { "x86" }
}

fn kind(plan: &Plan, world: &World) -> Value {
    let dedicated = plan.name.starts_with("ccx");
    json!({"id": kind_id(plan.name), "name": plan.name, "description": plan.name.to_uppercase(), "cores": plan.vcpus,
        "memory": plan.memory_mib as f64 / 1024.0, "disk": plan.disk_gb, "deprecated": false, "deprecation": null,
        "prices": prices(plan, world), "storage_type": "local", "architecture": architecture(plan.name),
        "cpu_type": if dedicated { "dedicated" } else { "shared" }})
}

fn location(&(name, city, country): &(&str, &str, &str)) -> Value {
    let position = SPEECH.places.iter().position(|place| place.0 == name).unwrap_or_default();
    json!({"id": position + 1, "name": name, "description": city, "city": city, "country": country, "latitude": 50.4,
        "longitude": 12.3, "network_zone": if country == "US" { "us-east" } else { "eu-central" }})
}

fn datacenter(place: &(&str, &str, &str), world: &World) -> Value {
    let all: Vec<usize> = PLANS.iter().map(|plan| kind_id(plan.name)).collect();
    let available: Vec<usize> =
        PLANS.iter().filter(|plan| world.sells(plan.name)).map(|plan| kind_id(plan.name)).collect();
    let location = location(place);
    json!({"id": location["id"], "name": format!("{}-dc1", place.0), "description": format!("{} DC 1", place.1),
        "location": location,
        "server_types": {"supported": all, "available": available, "available_for_migration": available}})
}

fn pricing(world: &World) -> Value {
    let kinds: Vec<Value> = PLANS
        .iter()
        .map(|plan| json!({"id": kind_id(plan.name), "name": plan.name, "prices": prices(plan, world)}))
        .collect();
    let address = json!({"type": "ipv4", "prices": [{"location": "fsn1", "price_hourly": price(0.0008), "price_monthly": price(0.5)}]});
    let floating = json!({"type": "ipv4", "prices": [{"location": "fsn1", "price_monthly": price(3.0)}]});
    json!({"pricing": {"currency": "EUR", "vat_rate": "19.000000", "server_types": kinds, "primary_ips": [address],
        "floating_ip": {"price_monthly": price(3.0)}, "floating_ips": [floating], "load_balancer_types": [],
        "image": {"price_per_gb_month": price(0.011)}, "server_backup": {"percentage": "20.000000"},
        "traffic": {"price_per_tb": price(1.0)}, "volume": {"price_per_gb_month": price(0.044)}}})
}

fn image(&(id, name, system, version, architecture): &(u64, &str, &str, &str, &str)) -> Value {
    json!({"id": id, "name": name, "type": "system", "status": "available", "description": name, "os_flavor": system,
        "os_version": version, "architecture": architecture, "bound_to": null, "created": "2024-04-25T13:26:27+00:00",
        "created_from": null, "deleted": null, "deprecated": null, "disk_size": 5, "image_size": null, "labels": {},
        "protection": {"delete": false}, "rapid_deploy": true})
}

fn key(key: &FakeKey) -> Value {
    json!({"id": key.id.parse::<u64>().unwrap_or_default(), "name": key.name, "fingerprint": key.fingerprint,
        "public_key": key.text, "labels": {}, "created": "2024-01-30T23:50:00+00:00"})
}

fn keys(request: &Request, rest: &[&str], world: &mut World) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let wanted = |field: &str, value: &str| request.query(field).is_none_or(|wanted| wanted == value);
            let found = world
                .keys
                .iter()
                .filter(|own| wanted("name", &own.name) && wanted("fingerprint", &own.fingerprint));
            list(request, "ssh_keys", &found.map(key).collect::<Vec<_>>())
        }
        ("POST", []) => {
            let (Some(name), Some(text)) = (request.text("name"), request.text("public_key")) else {
                return SPEECH.refuse_invalid("invalid input in field 'public_key'");
            };
            let added = world.add_key(&name, &text);
            let same = |own: &&FakeKey| own.fingerprint == added.fingerprint || own.name == name;
            if 1 < world.keys.iter().filter(same).count() {
                world.keys.pop();
                return unique("SSH key with the same fingerprint or name already exists");
            }
            Answer::json(201, &json!({"ssh_key": key(&added)}))
        }
        ("GET", [id]) => match world.key(id) {
            Some(own) => Answer::ok(&json!({"ssh_key": key(own)})),
            None => refuse(Refusal::NotFound),
        },
        ("DELETE", [id]) if world.remove_key(id) => Answer::empty(204),
        _ => refuse(Refusal::NotFound),
    }
}

fn unique(message: &str) -> Answer {
    Answer::json(409, &json!({"error": {"code": "uniqueness_error", "message": message, "details": null}}))
}

/// Whether an instance's labels (`key=value`) pass a selector: terms with commas between, all of which must hold.
fn selects(selector: &str, instance: &FakeInstance) -> bool {
    let value =
        |key: &str| instance.tags.iter().map(|tag| split(tag)).find(|own| own.0 == key).map(|own| own.1);
    selector.split(',').map(str::trim).filter(|term| !term.is_empty()).all(|term| {
        if let Some((key, unwanted)) = term.split_once("!=") {
            return value(key.trim()) != Some(unwanted.trim());
        }
        if let Some((key, wanted)) = term.split_once("==").or_else(|| term.split_once('=')) {
            return value(key.trim()) == Some(wanted.trim());
        }
        match term.strip_prefix('!') {
            Some(key) => value(key).is_none(),
            None => value(term).is_some(),
        }
    })
}

fn split(tag: &str) -> (&str, &str) {
    tag.split_once('=').unwrap_or((tag, ""))
}

/// The labels of a body as `key=value`; `None` when a label is none.
fn labels(body: &Value) -> Option<Vec<String>> {
    let is_text =
        |text: &str| text.len() <= 63 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let labels = body["labels"].as_object().cloned().unwrap_or_default();
    labels
        .iter()
        .map(|(key, value)| {
            let value = value.as_str()?;
            (!key.is_empty() && is_text(key.rsplit('/').next()?) && is_text(value))
                .then(|| format!("{key}={value}"))
        })
        .collect()
}

fn servers(request: &Request, rest: &[&str], world: &mut World, settings: &mut Settings) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let found = world.list(|own| {
                request.query("label_selector").is_none_or(|selector| selects(selector, own))
                    && request.query("name").is_none_or(|name| own.name == name)
            });
            let found: Vec<Value> = found.iter().map(|own| server(own, world)).collect();
            list(request, "servers", &found)
        }
        ("POST", []) => create(request, world, settings),
        ("GET", [id]) => match world.look_at(id) {
            Some(own) => Answer::ok(&json!({"server": server(&own, world)})),
            None => refuse(Refusal::NotFound),
        },
        ("PUT", [id]) => {
            let Some(labels) = labels(&request.body) else {
                return SPEECH.refuse_invalid("invalid input in field 'labels'");
            };
            let Some(own) = world.instance(id) else { return refuse(Refusal::NotFound) };
            if !request.body["labels"].is_null() {
                own.tags = labels;
            }
            if let Some(name) = request.text("name") {
                own.name = name;
            }
            let own = own.clone();
            Answer::ok(&json!({"server": server(&own, world)}))
        }
        ("DELETE", [id]) if world.delete(id, settings.pace.deletion) => {
            Answer::ok(&json!({"action": render(&world.act(id, "delete_server"), false)}))
        }
        ("POST", [id, "actions", word]) if ACTIONS.contains(word) => act(id, word, world, settings),
        _ => refuse(Refusal::NotFound),
    }
}

fn create(request: &Request, world: &mut World, settings: &mut Settings) -> Answer {
    let text = |field| request.text(field).unwrap_or_default();
    let place = request.text("location").or_else(|| Some(text("datacenter").split('-').next()?.to_owned()));
    let place = place.filter(|place| !place.is_empty()).unwrap_or_else(|| "fsn1".to_owned());
    let (name, plan, image) = (text("name"), text("server_type"), text("image"));
    if SPEECH.plan(&plan).is_none() || SPEECH.place(&place).is_none() {
        return SPEECH.refuse_invalid("invalid input in field 'server_type' or 'location'");
    }
    if !IMAGES.iter().any(|own| own.1 == image || own.0.to_string() == image) {
        return SPEECH.refuse_invalid("invalid input in field 'image'");
    }
    let Some(tags) = labels(&request.body) else {
        return SPEECH.refuse_invalid("invalid input in field 'labels'");
    };
    let find = |wanted: &String| world.keys.iter().find(|key| key.id == *wanted || key.name == *wanted);
    let keys: Option<Vec<String>> =
        request.texts("ssh_keys").iter().map(|wanted| find(wanted).map(|key| key.text.clone())).collect();
    let Some(ssh_keys) = keys else { return SPEECH.refuse_invalid("invalid input in field 'ssh_keys'") };
    if world.instances.iter().any(|own| own.exists() && own.name == name) {
        return unique("server name is already used");
    }
    if let Some(refused) = SPEECH.obstacle(&plan, world, settings) {
        return refused;
    }
    let password = if ssh_keys.is_empty() { json!("YItygq1v3GYjjMomLaKc") } else { Value::Null };
    let user_data = request.text("user_data");
    let new = NewFake { name, place, plan, image, tags, ssh_keys, user_data, bare_metal: false };
    let made = world.create(new, Phase::Running, settings);
    // An address is there from the start.
    made.address_shown = true;
    let made = made.clone();
    let action = render(&world.act(&made.id, "create_server"), false);
    let next = render(&world.act(&made.id, "start_server"), false);
    Answer::json(
        201,
        &json!({"server": server(&made, world), "action": action, "next_actions": [next],
        "root_password": password}),
    )
}

fn server(instance: &FakeInstance, world: &World) -> Value {
    let status = match (instance.phase, instance.moving) {
        (Phase::Provisioning, Some((_, 0))) => "starting",
        (Phase::Provisioning, _) => "initializing",
        (Phase::Running, Some((Phase::Stopped, _))) => "stopping",
        (Phase::Running, _) => "running",
        (Phase::Stopped, Some(_)) => "starting",
        (Phase::Stopped, None) => "off",
        (Phase::Failed, _) => "unknown",
        (Phase::Deleting | Phase::Gone, _) => "deleting",
    };
    let labels: Map<String, Value> = instance
        .tags
        .iter()
        .map(|tag| split(tag))
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect();
    let place = SPEECH.place(&instance.place).unwrap_or(&SPEECH.places[0]);
    let plan = SPEECH.plan(&instance.plan).unwrap_or(&PLANS[0]);
    let found = IMAGES.iter().find(|own| own.1 == instance.image || own.0.to_string() == instance.image);
    let v4 = instance
        .shown()
        .map(|ip| json!({"id": 42, "ip": ip, "blocked": false, "dns_ptr": "static.example.com"}));
    json!({"id": instance.id.parse::<u64>().unwrap_or_default(), "name": instance.name, "status": status,
        "created": instance.created.replace('Z', "+00:00"), "server_type": kind(plan, world),
        "datacenter": datacenter(place, world), "location": location(place), "image": image(found.unwrap_or(&IMAGES[0])), "iso": null,
        "labels": labels, "public_net": {"ipv4": v4, "ipv6": null, "floating_ips": [], "firewalls": []},
        "private_net": [], "volumes": [], "load_balancers": [], "backup_window": null, "locked": false,
        "rescue_enabled": false, "primary_disk_size": plan.disk_gb, "included_traffic": 20_000_000_000_000_u64,
        "ingoing_traffic": 0, "outgoing_traffic": 0, "protection": {"delete": false, "rebuild": false}})
}

fn act(id: &str, word: &str, world: &mut World, settings: &Settings) -> Answer {
    let Some(own) = world.instance(id) else { return refuse(Refusal::NotFound) };
    if own.heading().is_some() {
        return refuse(Refusal::Conflict("server is locked".to_owned()));
    }
    let to = if word == "poweroff" || word == "shutdown" { Phase::Stopped } else { Phase::Running };
    world.power(id, to, settings.pace.power);
    let command = match word {
        "poweron" => "start_server",
        "poweroff" => "stop_server",
        "shutdown" => "shutdown_server",
        "reboot" => "reboot_server",
        _ => "reset_server",
    };
    Answer::json(201, &json!({"action": render(&world.act(id, command), false)}))
}

fn render(action: &Action, over: bool) -> Value {
    let resource = json!({"id": action.instance.parse::<u64>().unwrap_or_default(), "type": "server"});
    json!({"id": action.id, "command": action.word, "status": if over { "success" } else { "running" },
        "progress": if over { 100 } else { 0 }, "started": action.started, "resources": [resource],
        "finished": if over { json!(action.started) } else { Value::Null }, "error": null})
}
