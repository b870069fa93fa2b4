//! DigitalOcean as its API version 2 speaks: Droplets, sizes, regions, images, keys, tags, actions.

use hyper::Method;
use serde_json::{Value, json};

use super::{
    speech::{Answer, Refusal, Request, Speech, paged, texts},
    switches::Settings,
    world::{Action, FakeInstance, FakeKey, NewFake, Phase, Plan, World, now, plan},
};

const PLANS: &[Plan] = &[
    plan("s-1vcpu-1gb", (1, 1024, 25, 1000), (0.00893, 6.0), 0),
    plan("s-1vcpu-2gb", (1, 2048, 50, 2000), (0.01786, 12.0), 0),
    plan("s-2vcpu-2gb", (2, 2048, 60, 3000), (0.02679, 18.0), 0),
    plan("s-2vcpu-4gb", (2, 4096, 80, 4000), (0.03571, 24.0), 0),
    plan("s-4vcpu-8gb", (4, 8192, 160, 5000), (0.07143, 48.0), 0),
    plan("c-8", (8, 16_384, 100, 6000), (0.25, 168.0), 0),
];

const IMAGES: &[(u64, &str, &str, &str)] = &[
    (155_133_621, "Ubuntu", "24.04 (LTS) x64", "ubuntu-24-04-x64"),
    (129_211_873, "Ubuntu", "22.04 (LTS) x64", "ubuntu-22-04-x64"),
    (133_745_012, "Debian", "12 x64", "debian-12-x64"),
    (201_112_233, "Debian", "13 x64", "debian-13-x64"),
];

const ACTIONS: &[&str] = &["power_on", "power_off", "shutdown", "reboot", "power_cycle"];

pub(super) const SPEECH: Speech = Speech {
    plans: PLANS,
    places: &[
        ("nyc1", "New York 1", "US"),
        ("nyc3", "New York 3", "US"),
        ("sfo3", "San Francisco 3", "US"),
        ("lon1", "London 1", "GB"),
        ("fra1", "Frankfurt 1", "DE"),
        ("sgp1", "Singapore 1", "SG"),
        ("tor1", "Toronto 1", "CA"),
        ("ams3", "Amsterdam 3", "NL"),
    ],
    image: "ubuntu-24-04-x64",
    numeric_ids: true,
    credential: ("authorization", "Bearer "),
    is_public: |_| false,
    is_creation: |request| request.method == Method::POST && request.path == "/v2/droplets",
    answer,
    refuse,
};

fn refuse(refusal: Refusal) -> Answer {
    let (status, id, message) = match refusal {
        Refusal::Unauthorised => (401, "unauthorized", "Unable to authenticate you".to_owned()),
        Refusal::OutOfStock => {
            (422, "unprocessable_entity", "Size is not available in this region.".to_owned())
        }
        Refusal::Quota => (
            422,
            "unprocessable_entity",
            "creating this/these droplet(s) will exceed your droplet limit".to_owned(),
        ),
        Refusal::Failing(429) => (429, "too_many_requests", "API rate limit exceeded.".to_owned()),
        Refusal::Failing(status) => (status, "server_error", "Unexpected server-side error".to_owned()),
        Refusal::NotFound => (404, "not_found", "The resource you requested could not be found.".to_owned()),
        Refusal::Invalid(message) | Refusal::Conflict(message) => (422, "unprocessable_entity", message),
    };
    Answer::json(
        status,
        &json!({"id": id, "message": message, "request_id": "4d9d8375-3c56-4925-a3e7-eb137fed17e9"}),
    )
}

fn answer(request: &Request, world: &mut World, settings: &mut Settings) -> Answer {
    let parts = request.parts();
    let Some((&"v2", path)) = parts.split_first() else { return refuse(Refusal::NotFound) };
    let answer = match (request.method.as_str(), path) {
        ("GET", ["account"]) => Answer::ok(&account()),
        ("GET", ["customers", "my", "balance"]) => Answer::ok(&balance()),
        ("GET", ["sizes"]) => list(request, "sizes", &sizes(world), 200),
        ("GET", ["regions"]) => list(request, "regions", &regions(), 200),
        ("GET", ["images"]) => list(request, "images", &images(), 200),
        ("GET", ["images", id]) => match images().into_iter().find(|image| is_image(image, id)) {
            Some(image) => Answer::ok(&json!({"image": image})),
            None => refuse(Refusal::NotFound),
        },
        ("GET" | "POST" | "DELETE", ["account", "keys", ..]) => keys(request, &path[2..], world),
        ("GET" | "POST" | "DELETE", ["tags", ..]) => tags(request, &path[1..], world),
        ("GET", ["actions", id]) | ("GET", ["droplets", _, "actions", id]) => action(id, world),
        ("GET" | "POST" | "DELETE", ["droplets", ..]) => droplets(request, &path[1..], world, settings),
        _ => refuse(Refusal::NotFound),
    };
    answer
        .header("ratelimit-limit", 5000)
        .header("ratelimit-remaining", 4321)
        .header("ratelimit-reset", 1_770_000_000)
}

fn account() -> Value {
    let team = json!({"uuid": "5df3e3004a17e242b7c20ca6c9fc25b701a47ece", "name": "My Team"});
    json!({"account": {"droplet_limit": 25, "floating_ip_limit": 5, "email": "sammy@example.com", "name": "Sammy",
        "uuid": "b6fr89dbf6d9156cace5f3c78dc9851d957381ef", "email_verified": true, "status": "active",
        "status_message": " ", "team": team}})
}

fn balance() -> Value {
    json!({"month_to_date_balance": "23.44", "account_balance": "12.23", "month_to_date_usage": "11.21",
        "generated_at": now()})
}

fn list(request: &Request, name: &str, items: &[Value], most: usize) -> Answer {
    let (page, size) = request.page("per_page", 20, most);
    let (part, last) = paged(items, (page, size));
    let address = |number: usize| format!("{}{}?page={number}&per_page={size}", request.origin, request.path);
    let mut pages = json!({});
    if page < last {
        pages = json!({"next": address(page + 1), "last": address(last)});
    } else if 1 < page {
        pages = json!({"first": address(1), "prev": address(page - 1)});
    }
    Answer::ok(&json!({name: part, "links": {"pages": pages}, "meta": {"total": items.len()}}))
}

fn size(plan: &Plan, world: &World) -> Value {
    let (hourly, monthly) = world.price(plan);
    let available = world.sells(plan.name);
    let regions: Vec<&str> =
        if available { SPEECH.places.iter().map(|place| place.0).collect() } else { Vec::new() };
    json!({"slug": plan.name, "memory": plan.memory_mib, "vcpus": plan.vcpus, "disk": plan.disk_gb,
        "transfer": plan.transfer_gb as f64 / 1000.0, "price_monthly": monthly, "price_hourly": hourly,
        "regions": regions, "available": available, "description": "Basic"})
}

fn sizes(world: &World) -> Vec<Value> {
    PLANS.iter().map(|plan| size(plan, world)).collect()
}

fn region(&(slug, name, _): &(&str, &str, &str)) -> Value {
    let sizes: Vec<&str> = PLANS.iter().map(|plan| plan.name).collect();
    json!({"name": name, "slug": slug, "features": ["backups", "ipv6", "metadata"], "available": true, "sizes": sizes})
}

fn regions() -> Vec<Value> {
    SPEECH.places.iter().map(region).collect()
}

fn image(&(id, distribution, name, slug): &(u64, &str, &str, &str)) -> Value {
    json!({"id": id, "name": name, "distribution": distribution, "slug": slug, "public": true,
        "regions": ["nyc1", "nyc3", "sfo3", "lon1", "fra1", "sgp1", "tor1", "ams3"], "type": "base",
        "created_at": "2024-05-09T15:41:20Z", "min_disk_size": 7, "size_gigabytes": 2.36,
        "description": format!("{distribution} {name}"), "tags": [], "status": "available"})
}

fn images() -> Vec<Value> {
    IMAGES.iter().map(image).collect()
}

fn is_image(image: &Value, id: &str) -> bool {
    image["slug"] == id || image["id"].as_u64() == id.parse().ok()
}

fn key(key: &FakeKey) -> Value {
    json!({"id": key.id.parse::<u64>().unwrap_or_default(), "fingerprint": key.fingerprint, "public_key": key.text,
        "name": key.name})
}

fn keys(request: &Request, rest: &[&str], world: &mut World) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let keys: Vec<Value> = world.keys.iter().map(key).collect();
            list(request, "ssh_keys", &keys, 200)
        }
        ("POST", []) => {
            let (Some(name), Some(text)) = (request.text("name"), request.text("public_key")) else {
                return SPEECH.refuse_invalid("Key invalid, it must be of the form 'type key comment'");
            };
            let added = world.add_key(&name, &text);
            if 1 < world.keys.iter().filter(|own| own.fingerprint == added.fingerprint).count() {
                world.keys.pop();
                return SPEECH.refuse_invalid("SSH Key is already in use on your account");
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

fn droplets(request: &Request, rest: &[&str], world: &mut World, settings: &mut Settings) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let (tag, name) = (request.query("tag_name"), request.query("name"));
            let wanted = |instance: &FakeInstance| {
                tag.is_none_or(|tag| instance.has_tag(tag)) && name.is_none_or(|name| instance.name == name)
            };
            let found = world.list(wanted);
            let found: Vec<Value> = found.iter().map(|instance| droplet(instance, world)).collect();
            list(request, "droplets", &found, 200)
        }
        ("POST", []) => create(request, world, settings),
        ("DELETE", []) => {
            let Some(tag) = request.query("tag_name") else { return refuse(Refusal::NotFound) };
            let found = world.instances.iter().filter(|instance| instance.exists() && instance.has_tag(tag));
            let ids: Vec<String> = found.map(|instance| instance.id.clone()).collect();
            for id in ids {
                world.delete(&id, settings.pace.deletion);
            }
            Answer::empty(204)
        }
        ("GET", [id]) => match world.look_at(id) {
            Some(instance) => Answer::ok(&json!({"droplet": droplet(&instance, world)})),
            None => refuse(Refusal::NotFound),
        },
        ("DELETE", [id]) if world.delete(id, settings.pace.deletion) => Answer::empty(204),
        ("POST", [id, "actions"]) => act(request, id, world, settings),
        ("GET", [id, "actions"]) => {
            let own = world.actions.iter().filter(|action| action.instance == *id);
            let own: Vec<Value> = own.map(|action| render(action, true)).collect();
            list(request, "actions", &own, 200)
        }
        _ => refuse(Refusal::NotFound),
    }
}

fn create(request: &Request, world: &mut World, settings: &mut Settings) -> Answer {
    let (name, plan) = (request.text("name").unwrap_or_default(), request.text("size").unwrap_or_default());
    let place = request.text("region").unwrap_or_else(|| "nyc3".to_owned());
    let valid_name =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
    if !valid_name {
        return SPEECH
            .refuse_invalid("Name Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)");
    }
    if SPEECH.plan(&plan).is_none() {
        return SPEECH.refuse_invalid("You specified an invalid size for Droplet creation.");
    }
    if SPEECH.place(&place).is_none() {
        return SPEECH.refuse_invalid("You specified an invalid region for Droplet creation.");
    }
    let wanted =
        request.body["image"].as_str().map_or_else(|| request.body["image"].to_string(), str::to_owned);
    if !images().iter().any(|image| is_image(image, &wanted)) {
        return SPEECH.refuse_invalid("You specified an invalid image for Droplet creation.");
    }
    let keys: Option<Vec<String>> =
        texts(&request.body["ssh_keys"]).iter().map(|id| world.key(id).map(|key| key.text.clone())).collect();
    let Some(ssh_keys) = keys else { return SPEECH.refuse_invalid("ssh_keys contains an invalid key") };
    if let Some(refused) = SPEECH.obstacle(&plan, world, settings) {
        return refused;
    }
    let (tags, user_data) = (request.texts("tags"), request.text("user_data"));
    let new = NewFake { name, place, plan, image: wanted, tags, ssh_keys, user_data, bare_metal: false };
    let made = world.create(new, Phase::Running, settings).clone();
    let action = world.act(&made.id, "create");
    let link = json!({"id": action.id, "rel": "create", "href": format!("{}/v2/actions/{}", request.origin, action.id)});
    Answer::json(202, &json!({"droplet": droplet(&made, world), "links": {"actions": [link]}}))
}

fn droplet(instance: &FakeInstance, world: &World) -> Value {
    let status = match instance.phase {
        Phase::Provisioning => "new",
        Phase::Running | Phase::Deleting => "active",
        Phase::Stopped => "off",
        Phase::Failed | Phase::Gone => "archive",
    };
    let public = instance.shown().map(|address| {
        json!({"ip_address": address, "netmask": "255.255.240.0", "gateway": "127.0.0.1", "type": "public"})
    });
    let mut v4: Vec<Value> = public.into_iter().collect();
    if instance.phase != Phase::Provisioning {
        v4.push(json!({"ip_address": "10.108.0.3", "netmask": "255.255.240.0", "gateway": "10.108.0.1",
            "type": "private"}));
    }
    let plan = SPEECH.plan(&instance.plan).unwrap_or(&PLANS[0]);
    let place = SPEECH.place(&instance.place).unwrap_or(&SPEECH.places[0]);
    let found = images().into_iter().find(|image| is_image(image, &instance.image));
    json!({"id": instance.id.parse::<u64>().unwrap_or_default(), "name": instance.name, "memory": plan.memory_mib,
        "vcpus": plan.vcpus, "disk": plan.disk_gb, "locked": instance.heading().is_some(), "status": status,
        "kernel": null, "created_at": instance.created, "features": ["monitoring", "private_networking"],
        "backup_ids": [], "next_backup_window": null, "snapshot_ids": [],
        "image": found.unwrap_or_else(|| image(&IMAGES[0])), "volume_ids": [], "size": size(plan, world),
        "size_slug": plan.name, "networks": {"v4": v4, "v6": []}, "region": region(place), "tags": instance.tags,
        "vpc_uuid": "760e09ef-dc84-11e8-981e-3cfdfeaae000"})
}

fn act(request: &Request, id: &str, world: &mut World, settings: &Settings) -> Answer {
    let word = request.text("type").unwrap_or_default();
    let Some(instance) = world.instance(id) else { return refuse(Refusal::NotFound) };
    if !ACTIONS.contains(&word.as_str()) {
        return SPEECH.refuse_invalid("Invalid action type");
    }
    if instance.heading().is_some() {
        return SPEECH.refuse_invalid("Droplet already has a pending event.");
    }
    if word == "shutdown" && instance.phase == Phase::Stopped {
        return SPEECH.refuse_invalid("Droplet is already powered off.");
    }
    let to = if word == "shutdown" || word == "power_off" { Phase::Stopped } else { Phase::Running };
    world.power(id, to, settings.pace.power);
    Answer::json(201, &json!({"action": render(&world.act(id, &word), false)}))
}

fn action(id: &str, world: &mut World) -> Answer {
    match id.parse().ok().and_then(|id| world.look_at_action(id)) {
        Some((action, over)) => Answer::ok(&json!({"action": render(&action, over)})),
        None => refuse(Refusal::NotFound),
    }
}

fn render(action: &Action, over: bool) -> Value {
    json!({"id": action.id, "status": if over { "completed" } else { "in-progress" }, "type": action.word,
        "started_at": action.started, "completed_at": if over { json!(action.started) } else { Value::Null },
        "resource_id": action.instance.parse::<u64>().unwrap_or_default(), "resource_type": "droplet",
        "region_slug": "nyc3"})
}

fn tags(request: &Request, rest: &[&str], world: &mut World) -> Answer {
    let count = |name: &str, world: &World| {
        let tagged = world.instances.iter().filter(|own| own.exists() && own.has_tag(name)).count();
        json!({"name": name, "resources": {"count": tagged, "droplets": {"count": tagged}}})
    };
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let mut names: Vec<String> = world.instances.iter().flat_map(|own| own.tags.clone()).collect();
            names.sort();
            names.dedup();
            let tags: Vec<Value> = names.iter().map(|name| count(name, world)).collect();
            list(request, "tags", &tags, 200)
        }
        ("POST", []) => match request.text("name") {
            Some(name) => Answer::json(201, &json!({"tag": count(&name, world)})),
            None => SPEECH.refuse_invalid("Name can't be blank"),
        },
        ("GET", [name]) => Answer::ok(&json!({"tag": count(name, world)})),
        ("DELETE", [name]) => {
            world.instances.iter_mut().for_each(|own| own.tags.retain(|tag| tag != name));
            Answer::empty(204)
        }
        ("POST" | "DELETE", [name, "resources"]) => retag(request, name, world),
        _ => refuse(Refusal::NotFound),
    }
}

/// Ties a tag to Droplets or unties it.
fn retag(request: &Request, name: &str, world: &mut World) -> Answer {
    let resources = request.body["resources"].as_array().cloned().unwrap_or_default();
    for id in resources.iter().map(|resource| resource["resource_id"].as_str().unwrap_or_default()) {
        let Some(instance) = world.instance(id) else { return refuse(Refusal::NotFound) };
        instance.tags.retain(|tag| tag != name);
        if request.method == Method::POST {
            instance.tags.push(name.to_owned());
        }
    }
    Answer::empty(204)
}
