//! Scaleway Instances: servers per zone that are made switched off, images per zone and architecture, user data
//! and power apart, disks and addresses that outlive their server.
//!
//! Identity (IAM), marketplace and block storage are in `scaleway_beside.rs`.

use hyper::Method;
use serde_json::{Value, json};

use super::{
    scaleway_beside::{self as beside, IMAGES, PROJECT},
    speech::{Answer, Refusal, Request, Speech, paged},
    switches::Settings,
    world::{FakeExtra, FakeInstance, NewFake, Phase, Plan, World, now, plan, uuid},
};

const PLANS: &[Plan] = &[
    plan("DEV1-S", (2, 2048, 20, 0), (0.008976, 6.55248), 0),
    plan("DEV1-M", (3, 4096, 40, 0), (0.020196, 14.74308), 0),
    plan("GP1-XS", (4, 16_384, 150, 0), (0.09282, 67.7586), 0),
    plan("GP1-S", (8, 32_768, 300, 0), (0.19074, 139.2402), 0),
    plan("RENDER-S", (10, 43_008, 400, 0), (1.221, 891.33), 1),
    plan("COPARM1-2C-8G", (2, 8192, 0, 0), (0.0426, 31.098), 0),
];

pub(super) const SPEECH: Speech = Speech {
    plans: PLANS,
    places: &[
        ("fr-par-1", "Paris 1", "FR"),
        ("fr-par-2", "Paris 2", "FR"),
        ("fr-par-3", "Paris 3", "FR"),
        ("nl-ams-1", "Amsterdam 1", "NL"),
        ("nl-ams-2", "Amsterdam 2", "NL"),
        ("nl-ams-3", "Amsterdam 3", "NL"),
        ("pl-waw-1", "Warsaw 1", "PL"),
        ("pl-waw-2", "Warsaw 2", "PL"),
        ("pl-waw-3", "Warsaw 3", "PL"),
        ("it-mil-1", "Milan 1", "IT"),
    ],
    image: "ubuntu_noble",
    numeric_ids: false,
    credential: ("x-auth-token", ""),
    is_public: |_| false,
    is_creation: |request| {
        request.method == Method::POST && matches!(request.parts()[..], ["instance", _, _, _, "servers"])
    },
    answer,
    refuse,
};

pub(super) fn refuse(refusal: Refusal) -> Answer {
    let (status, kind, message) = match refusal {
        Refusal::Unauthorised => {
            let body = json!({"message": "authentication is denied", "method": "api_key", "reason": "not_found",
                "type": "denied_authentication"});
            return Answer::json(401, &body);
        }
        Refusal::OutOfStock => (400, "out_of_stock", "resource is out of stock".to_owned()),
        Refusal::Quota => {
            let details = json!([{"resource": "instance_server", "quota": 10, "current": 10}]);
            let body = json!({"type": "quotas_exceeded", "message": "Quotas exceeded for this resource.",
                "details": details});
            return Answer::json(403, &body);
        }
        Refusal::Failing(429) => (429, "too_many_requests", "too many requests".to_owned()),
        Refusal::Failing(status) => (status, "internal_error", "internal error".to_owned()),
        Refusal::NotFound => return absent("instance_server", ""),
        Refusal::Invalid(message) => return invalid("volumes", "constraint", &message),
        Refusal::Conflict(message) => (400, "precondition_failed", message),
    };
    Answer::json(status, &json!({"type": kind, "message": message}))
}

/// The answer about a thing that is not there.
pub(super) fn absent(resource: &str, id: &str) -> Answer {
    let body = json!({"type": "not_found", "message": "resource is not found", "resource": resource,
        "resource_id": id});
    Answer::json(404, &body)
}

pub(super) fn invalid(argument: &str, reason: &str, help: &str) -> Answer {
    let details = json!([{"argument_name": argument, "reason": reason, "help_message": help}]);
    Answer::json(
        400,
        &json!({"type": "invalid_arguments", "message": "invalid argument(s)", "details": details}),
    )
}

fn answer(request: &Request, world: &mut World, settings: &mut Settings) -> Answer {
    let parts = request.parts();
    if let [_, _, "zones", zone, ..] = parts[..]
        && SPEECH.place(zone).is_none()
    {
        return absent("zone", zone);
    }
    match (request.method.as_str(), parts.as_slice()) {
        (_, ["instance", "v1", "zones", zone, "servers", rest @ ..]) => {
            servers(request, zone, rest, world, settings)
        }
        ("GET", ["instance", "v1", "zones", _, "products", "servers"]) => {
            products(request, &|plan| product(plan, world))
        }
        ("GET", ["instance", "v1", "zones", _, "products", "servers", "availability"]) => {
            let stock = |plan: &Plan| if world.sells(plan.name) { "available" } else { "shortage" };
            products(request, &|plan| json!({"availability": stock(plan)}))
        }
        ("GET", ["instance", "v1", "zones", zone, "images", rest @ ..]) => images(request, zone, rest),
        ("GET", ["instance", "v1", "zones", zone, "dashboard"]) => {
            let found = world.instances.iter().filter(|own| own.exists() && own.place == *zone);
            Answer::ok(&json!({"dashboard": {"servers_count": found.count()}}))
        }
        _ => beside::answer(request, &parts, world),
    }
}

/// One page, counted in headers because the body has no place for it.
pub(super) fn list(request: &Request, name: &str, items: &[Value]) -> Answer {
    let (page, size) = request.page("per_page", 50, 100);
    let (part, last) = paged(items, (page, size));
    counted(request, Answer::ok(&json!({name: part})), items.len(), (page, last, size))
}

fn counted(
    request: &Request,
    answer: Answer,
    total: usize,
    (page, last, size): (usize, usize, usize),
) -> Answer {
    let path = request.path.splitn(6, '/').last().unwrap_or_default();
    let link =
        |number: usize, word: &str| format!("</{path}?page={number}&per_page={size}&>; rel=\"{word}\"");
    let answer = answer.header("x-total-count", total);
    if page < last {
        return answer.header("link", format!("{},{}", link(page + 1, "next"), link(last, "last")));
    }
    answer
}

fn products(request: &Request, render: &dyn Fn(&Plan) -> Value) -> Answer {
    let (page, size) = request.page("per_page", 50, 100);
    let (part, last) = paged(PLANS, (page, size));
    let part: serde_json::Map<_, _> = part.iter().map(|plan| (plan.name.to_owned(), render(plan))).collect();
    counted(request, Answer::ok(&json!({"servers": part})), PLANS.len(), (page, last, size))
}

pub(super) fn architecture(plan: &str) -> &'static str {
    if plan.contains("ARM") || plan.contains("-A") { "arm64" } else { "x86_64" }
}

fn product(plan: &Plan, world: &World) -> Value {
    let (hourly, monthly) = world.price(plan);
    let bytes = plan.disk_gb * 1_000_000_000;
    let gpu = if plan.gpus == 0 {
        Value::Null
    } else {
        json!({"gpu_manufacturer": "NVIDIA", "gpu_name": "P100", "gpu_memory": 17_179_869_184_u64})
    };
    json!({"alt_names": [], "arch": architecture(plan.name), "ncpus": plan.vcpus, "ram": plan.memory_mib << 20,
        "gpu": plan.gpus, "gpu_info": gpu, "mig_profile": null, "volumes_constraint": {"min_size": 0, "max_size": bytes},
        "per_volume_constraint": {"l_ssd": {"min_size": 1_000_000_000, "max_size": 800_000_000_000_u64}},
        "scratch_storage_max_size": 0, "scratch_storage_max_volumes_count": 0, "monthly_price": monthly, "hourly_price": hourly,
        "capabilities": {"boot_types": ["local", "rescue"], "block_storage": true, "private_network": 8,
            "placement_groups": true, "hot_snapshots_local_volume": true, "max_file_systems": 0},
        "network": {"ipv6_support": true, "sum_internal_bandwidth": 200_000_000, "sum_internet_bandwidth": 200_000_000,
            "interfaces": []},
        "block_bandwidth": 83_886_080, "end_of_service": false})
}

fn image(id: &str, zone: &str) -> Value {
    let known = beside::find_image(id, zone).unwrap_or(&IMAGES[0]);
    let snapshot = if known.kind == "instance_sbs" { "sbs_snapshot" } else { "l_ssd" };
    json!({"id": id, "name": known.title, "organization": "51b656e3-4865-41e8-adbc-0c45bdd780db",
        "project": "51b656e3-4865-41e8-adbc-0c45bdd780db", "extra_volumes": {}, "public": true, "arch": known.arch,
        "root_volume": {"volume_type": snapshot, "id": uuid(501), "size": 0, "name": ""}, "from_server": "",
        "creation_date": "2025-09-12T09:11:41.420846+00:00", "modification_date": "2025-09-12T09:11:41.420846+00:00",
        "default_bootscript": null, "state": "available", "tags": [], "zone": zone})
}

fn images(request: &Request, zone: &str, rest: &[&str]) -> Answer {
    match rest {
        [] => {
            let ids = (0..IMAGES.len()).map(|position| beside::image_id(position, zone));
            let all: Vec<Value> = ids.map(|id| image(&id, zone)).collect();
            let arch = |image: &Value| request.query("arch").is_none_or(|arch| image["arch"] == arch);
            list(request, "images", &all.into_iter().filter(arch).collect::<Vec<_>>())
        }
        [id] if beside::find_image(id, zone).is_some() => Answer::ok(&json!({"image": image(id, zone)})),
        [id, ..] => absent("instance_image", id),
    }
}

fn servers(
    request: &Request,
    zone: &str,
    rest: &[&str],
    world: &mut World,
    settings: &mut Settings,
) -> Answer {
    if let [id, ..] = rest
        && world.instance(id).is_none_or(|own| own.place != zone)
    {
        return absent("instance_server", id);
    }
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let tags = request.query("tags").unwrap_or_default();
            let found = world.list(|own| {
                own.place == zone
                    && tags.split(',').filter(|tag| !tag.is_empty()).all(|tag| own.has_tag(tag))
                    && request.query("name").is_none_or(|name| own.name.contains(name))
            });
            let found: Vec<Value> = found.iter().map(|own| server(own, world)).collect();
            list(request, "servers", &found)
        }
        ("POST", []) => create(request, zone, world, settings),
        ("GET", [id]) => match world.look_at(id) {
            Some(own) => Answer::ok(&json!({"server": server(&own, world)})),
            None => absent("instance_server", id),
        },
        ("PATCH", [id]) => {
            let own = world.instance(id).expect("looked up above");
            if !request.body["tags"].is_null() {
                own.tags = request.texts("tags");
            }
            if let Some(name) = request.text("name") {
                own.name = name;
            }
            let own = own.clone();
            Answer::ok(&json!({"server": server(&own, world)}))
        }
        ("DELETE", [id]) => {
            let own = world.instance(id).expect("looked up above");
            if own.phase != Phase::Stopped || own.heading().is_some() {
                return refuse(Refusal::Conflict("server should be stopped".to_owned()));
            }
            world.delete(id, 0);
            world.look_at(id);
            Answer::empty(204)
        }
        ("GET", [id, "action"]) => {
            let own = world.instance(id).expect("looked up above").clone();
            Answer::ok(&json!({"actions": allowed(&own)}))
        }
        ("POST", [id, "action"]) => act(request, id, world, settings),
        (_, [id, "user_data", rest @ ..]) => {
            user_data(request, rest, world.instance(id).expect("looked up above"))
        }
        _ => refuse(Refusal::NotFound),
    }
}

fn create(request: &Request, zone: &str, world: &mut World, settings: &mut Settings) -> Answer {
    for field in ["name", "commercial_type", "image"] {
        if !request.body[field].is_string() {
            return invalid(field, "required", "required key not provided");
        }
    }
    let text = |field| request.text(field).unwrap_or_default();
    let (plan, image) = (text("commercial_type"), text("image"));
    if SPEECH.plan(&plan).is_none() {
        return invalid("commercial_type", "unknown", "unknown commercial type");
    }
    let Some(known) = beside::find_image(&image, zone).filter(|known| known.arch == architecture(&plan))
    else {
        return invalid(
            "image",
            "constraint",
            "image is not compatible with this commercial type in this zone",
        );
    };
    let project = text("project");
    if !project.is_empty() && project != PROJECT {
        return Answer::json(
            403,
            &json!({"type": "permissions_denied", "message": "insufficient permissions"}),
        );
    }
    if let Some(refused) = SPEECH.obstacle(&plan, world, settings) {
        return refused;
    }
    let (name, place, tags) = (text("name"), zone.to_owned(), request.texts("tags"));
    let is_local = known.kind == "instance_local" || request.body["volumes"]["0"]["volume_type"] == "l_ssd";
    let new = NewFake { name, place, plan, image, tags, ..NewFake::default() };
    let made = world.create(new, Phase::Stopped, settings).clone();
    let (id, place) = (world.id(), zone.to_owned());
    let instance = Some(made.id.clone());
    world.extras.push(FakeExtra { id, place, instance, made_for: made.id.clone(), address: None, is_local });
    let mut wanted = request.texts("public_ips");
    wanted.extend(request.text("public_ip"));
    for extra in world.extras.iter_mut().filter(|extra| wanted.contains(&extra.id)) {
        extra.instance = Some(made.id.clone());
    }
    let flexible =
        world.extras.iter().find(|extra| wanted.contains(&extra.id)).and_then(|extra| extra.address);
    let own = world.instance(&made.id).expect("it was just made");
    match flexible {
        Some(address) => own.address = address,
        None if request.body["dynamic_ip_required"] == false => own.address_in = u32::MAX,
        None => {}
    }
    let own = own.clone();
    Answer::json(201, &json!({"server": server(&own, world)}))
}

fn allowed(instance: &FakeInstance) -> Vec<&'static str> {
    match (instance.phase, instance.heading()) {
        (Phase::Running, None) => vec!["poweroff", "terminate", "reboot", "stop_in_place", "backup"],
        (Phase::Stopped, None) => vec!["poweron", "backup"],
        _ => Vec::new(),
    }
}

fn server(instance: &FakeInstance, world: &World) -> Value {
    let state = match (instance.phase, instance.heading()) {
        (Phase::Running, Some(Phase::Stopped)) | (Phase::Deleting | Phase::Gone, _) => "stopping",
        (Phase::Running, _) => "running",
        (Phase::Stopped, Some(Phase::Running)) | (Phase::Provisioning, _) => "starting",
        (Phase::Stopped, _) if instance.address_shown => "stopped in place",
        (Phase::Stopped, _) => "stopped",
        (Phase::Failed, _) => "locked",
    };
    let disks = world.extras.iter().filter(|own| own.address.is_none());
    let disk = disks.filter(|own| own.instance.as_deref() == Some(&instance.id)).map(|own| {
        json!({"boot": false, "volume_type": if own.is_local { "l_ssd" } else { "sbs_volume" }, "id": own.id,
            "state": "available", "zone": own.place})
    });
    let volumes: serde_json::Map<_, _> = disk.enumerate().map(|(at, disk)| (at.to_string(), disk)).collect();
    let flexible = world.extras.iter().find(|own| own.address == Some(instance.address));
    let address = instance.shown().map(|address| {
        json!({"id": flexible.map_or_else(|| uuid(600), |own| own.id.clone()), "address": address,
            "dynamic": flexible.is_none(), "gateway": "127.0.0.1", "netmask": "32", "family": "inet",
            "provisioning_mode": "dhcp", "tags": [], "state": "attached", "ipam_id": uuid(601)})
    });
    let addresses: Vec<&Value> = address.iter().collect();
    json!({"id": instance.id, "name": instance.name, "arch": architecture(&instance.plan),
        "commercial_type": instance.plan, "boot_type": "local", "organization": PROJECT, "project": PROJECT,
        "hostname": instance.name, "image": image(&instance.image, &instance.place), "volumes": volumes,
        "tags": instance.tags, "state": state, "protected": false, "state_detail": "", "public_ip": address,
        "public_ips": addresses, "mac_address": "de:00:00:d1:45:4f", "routed_ip_enabled": true, "ipv6": null,
        "extra_networks": [], "dynamic_ip_required": flexible.is_none(), "enable_ipv6": false, "private_ip": null,
        "creation_date": instance.created.replace('Z', ".000000+00:00"), "bootscript": null,
        "modification_date": instance.created.replace('Z', ".000000+00:00"), "location": null, "maintenances": [],
        "security_group": {"id": "da505169-540e-4c2b-b0da-c854139224e0", "name": "Default security group"},
        "allowed_actions": allowed(instance), "placement_group": null, "private_nics": [], "zone": instance.place,
        "filesystems": [], "end_of_service": false})
}

fn act(request: &Request, id: &str, world: &mut World, settings: &Settings) -> Answer {
    let keys: Vec<String> = world.keys.iter().map(|key| key.text.clone()).collect();
    let word = request.text("action").unwrap_or_default();
    let own = world.instance(id).expect("looked up before");
    if !allowed(own).contains(&word.as_str()) {
        if own.phase == Phase::Stopped && word == "poweron" || own.heading().is_some() {
            let body = json!({"type": "transient_state", "message": "resource is in a transient state",
                "resource": "instance_server", "resource_id": id, "current_state": "starting"});
            return Answer::json(400, &body);
        }
        return invalid("action", "constraint", "server should be running or stopped for this action");
    }
    let pace = settings.pace;
    match word.as_str() {
        "poweron" if settings.out_of_stock => return refuse(Refusal::OutOfStock),
        "poweron" => {
            // What the project and the tags hold at this moment is what gets installed.
            own.ssh_keys = keys;
            let tagged = own.tags.iter().filter_map(|tag| tag.strip_prefix("AUTHORIZED_KEY="));
            own.ssh_keys.extend(tagged.map(|key| key.replace('_', " ")).collect::<Vec<_>>());
            own.go(Phase::Stopped, Phase::Running, pace.provisioning);
        }
        "poweroff" => {
            own.address_shown = false;
            own.go(Phase::Running, Phase::Stopped, pace.power);
        }
        "stop_in_place" => own.go(Phase::Running, Phase::Stopped, pace.power),
        "terminate" => {
            world.delete(id, pace.deletion);
            world.extras.retain(|extra| !extra.is_local || extra.made_for != id);
        }
        _ => own.go(Phase::Running, Phase::Running, pace.power),
    }
    let task = world.id();
    let path = format!("/servers/{id}");
    let body = json!({"task": {"id": task, "description": format!("server_{word}"), "status": "pending",
        "href_from": format!("{path}/action"), "href_result": path, "started_at": now(), "terminated_at": null,
        "progress": 0, "zone": request.parts()[3]}});
    Answer::json(202, &body)
}

fn user_data(request: &Request, rest: &[&str], own: &mut FakeInstance) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let keys: Vec<&str> = own.user_data.iter().map(|_| "cloud-init").collect();
            Answer::ok(&json!({"user_data": keys}))
        }
        ("GET", ["cloud-init"]) => match &own.user_data {
            Some(text) => Answer::text(200, text.clone().into_bytes()),
            None => absent("instance_server_user_data", "cloud-init"),
        },
        ("PATCH", ["cloud-init"]) => {
            own.user_data = Some(String::from_utf8_lossy(&request.raw).into_owned());
            Answer::empty(204)
        }
        ("DELETE", ["cloud-init"]) => {
            own.user_data = None;
            Answer::empty(204)
        }
        _ => absent("instance_server_user_data", ""),
    }
}
