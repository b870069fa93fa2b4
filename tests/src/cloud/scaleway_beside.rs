//! What stands beside Scaleway's Instance API and is needed to use it: keys and projects (IAM, account), image
//! ids (marketplace), disks (instance volumes for local ones, block storage for the others), and addresses.

use serde_json::{Value, json};

use super::{
    scaleway::{SPEECH, absent, architecture, invalid, list, refuse},
    speech::{Answer, Refusal, Request, paged},
    world::{FakeExtra, FakeKey, World, uuid},
};

/// The one project, and the organisation of the same id.
pub(super) const PROJECT: &str = "6867048b-fe12-4e96-835e-41c79a39604b";

/// An access key that ends so may not read itself, as a narrow key may not.
const NARROW: &str = "NARROW";

#[derive(Debug)]
pub(super) struct Image {
    pub label: &'static str,
    pub title: &'static str,
    pub arch: &'static str,
    pub kind: &'static str,
}

const fn entry(label: &'static str, title: &'static str, arch: &'static str, kind: &'static str) -> Image {
    Image { label, title, arch, kind }
}

/// Every image, once for each architecture and kind of disk.
pub(super) const IMAGES: &[Image] = &[
    entry("ubuntu_noble", "Ubuntu 24.04 Noble Numbat", "x86_64", "instance_sbs"),
    entry("ubuntu_noble", "Ubuntu 24.04 Noble Numbat", "x86_64", "instance_local"),
    entry("ubuntu_noble", "Ubuntu 24.04 Noble Numbat", "arm64", "instance_sbs"),
    entry("ubuntu_jammy", "Ubuntu 22.04 Jammy Jellyfish", "x86_64", "instance_sbs"),
    entry("ubuntu_jammy", "Ubuntu 22.04 Jammy Jellyfish", "x86_64", "instance_local"),
    entry("ubuntu_jammy", "Ubuntu 22.04 Jammy Jellyfish", "arm64", "instance_sbs"),
    entry("debian_bookworm", "Debian Bookworm", "x86_64", "instance_sbs"),
    entry("debian_bookworm", "Debian Bookworm", "x86_64", "instance_local"),
    entry("debian_bookworm", "Debian Bookworm", "arm64", "instance_sbs"),
    entry("debian_trixie", "Debian Trixie", "x86_64", "instance_sbs"),
    entry("debian_trixie", "Debian Trixie", "arm64", "instance_sbs"),
];

/// The id of an image in a zone.
pub(super) fn image_id(position: usize, zone: &str) -> String {
    let at = SPEECH.places.iter().position(|place| place.0 == zone).unwrap_or_default();
    uuid(700_000 + (at * 100 + position) as u64)
}

/// The image with this id in this zone; ids of other zones are none.
pub(super) fn find_image(id: &str, zone: &str) -> Option<&'static Image> {
    (0..IMAGES.len()).find(|&position| image_id(position, zone) == id).map(|position| &IMAGES[position])
}

pub(super) fn answer(request: &Request, parts: &[&str], world: &mut World) -> Answer {
    match (request.method.as_str(), parts) {
        ("GET", ["iam", "v1alpha1", "api-keys", access]) => api_key(access),
        (_, ["iam", "v1alpha1", "ssh-keys", rest @ ..]) => keys(request, rest, world),
        ("GET", ["account", "v3", "projects"]) => counted(
            request,
            "projects",
            &[json!({"id": PROJECT, "name": "default", "organization_id": PROJECT})],
        ),
        ("GET", ["marketplace", "v2", "local-images"]) => local_images(request),
        ("GET" | "DELETE", ["block", "v1", "zones", zone, "volumes", rest @ ..]) => {
            disks(request, zone, rest, false, world)
        }
        ("GET" | "DELETE", ["instance", "v1", "zones", zone, "volumes", rest @ ..]) => {
            disks(request, zone, rest, true, world)
        }
        ("GET" | "POST" | "DELETE", ["instance", "v1", "zones", zone, "ips", rest @ ..]) => {
            addresses(request, zone, rest, world)
        }
        _ => refuse(Refusal::NotFound),
    }
}

fn api_key(access: &str) -> Answer {
    if access.ends_with(NARROW) {
        let body = json!({"details": [{"action": "read", "resource": "api_key"}],
            "message": "insufficient permissions", "type": "permissions_denied"});
        return Answer::json(403, &body);
    }
    Answer::ok(&json!({"access_key": access, "secret_key": null, "description": "capsule", "editable": true,
        "created_at": "2026-07-30T09:49:37.613076Z", "updated_at": "2026-07-30T09:49:37.613076Z", "expires_at": null,
        "default_project_id": PROJECT, "deletable": true, "managed": false, "creation_ip": "203.0.113.189",
        "user_id": uuid(800)}))
}

/// One page as IAM, block and marketplace give it: the count stands in the body.
fn counted(request: &Request, name: &str, items: &[Value]) -> Answer {
    let (part, _) = paged(items, request.page("page_size", 20, 100));
    Answer::ok(&json!({name: part, "total_count": items.len()}))
}

fn key(key: &FakeKey) -> Value {
    json!({"id": key.id, "name": key.name, "public_key": key.text, "fingerprint": format!("256 MD5:{}", key.fingerprint),
        "created_at": "2026-04-24T14:38:55.845338Z", "updated_at": "2026-04-24T14:38:55.845338Z",
        "organization_id": PROJECT, "project_id": PROJECT, "disabled": false})
}

fn keys(request: &Request, rest: &[&str], world: &mut World) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let wanted = request.query("project_id").is_none_or(|project| project == PROJECT);
            let found: Vec<Value> = world.keys.iter().filter(|_| wanted).map(key).collect();
            counted(request, "ssh_keys", &found)
        }
        ("POST", []) => match (request.text("name"), request.text("public_key")) {
            (Some(name), Some(text)) => Answer::ok(&key(&world.add_key(&name, &text))),
            _ => invalid("public_key", "required", "required key not provided"),
        },
        ("GET", [id]) => world.key(id).map_or_else(|| absent("ssh_key", id), |own| Answer::ok(&key(own))),
        ("DELETE", [id]) if world.remove_key(id) => Answer::empty(204),
        (_, rest) => absent("ssh_key", rest.first().unwrap_or(&"")),
    }
}

fn local_images(request: &Request) -> Answer {
    let wanted = |field: &str, value: &str| request.query(field).is_none_or(|wanted| wanted == value);
    let mut found = Vec::new();
    for &(zone, ..) in SPEECH.places.iter().filter(|place| wanted("zone", place.0)) {
        for (position, image) in IMAGES.iter().enumerate() {
            let types =
                SPEECH.plans.iter().map(|plan| plan.name).filter(|plan| architecture(plan) == image.arch);
            if wanted("image_label", image.label) && wanted("type", image.kind) && wanted("arch", image.arch)
            {
                found.push(json!({"id": image_id(position, zone), "arch": image.arch, "zone": zone,
                    "compatible_commercial_types": types.collect::<Vec<_>>(), "label": image.label,
                    "type": image.kind}));
            }
        }
    }
    counted(request, "local_images", &found)
}

/// The server that a disk or address hangs on, while there is one.
fn extra_server(extra: &FakeExtra, world: &World) -> Value {
    let own = world.instances.iter().find(|own| own.exists() && extra.instance.as_ref() == Some(&own.id));
    own.map_or(Value::Null, |own| json!({"id": own.id, "name": own.name}))
}

fn block(extra: &FakeExtra, world: &World) -> Value {
    let server = extra_server(extra, world);
    let reference = json!({"id": uuid(801), "product_resource_type": "instance_server",
        "product_resource_id": server["id"], "created_at": "2025-11-04T10:17:37.196519Z", "type": "exclusive",
        "status": "attached"});
    let references = if server.is_null() { json!([]) } else { json!([reference]) };
    json!({"id": extra.id, "name": "Ubuntu 24.04 Noble Numbat_sbs_volume_0", "type": "sbs_5k", "size": 10_000_000_000_u64,
        "project_id": PROJECT, "created_at": "2025-11-04T10:17:37.196519Z", "updated_at": "2025-11-04T10:17:37.196519Z",
        "references": references, "parent_snapshot_id": uuid(501), "tags": [], "zone": extra.place,
        "status": if server.is_null() { "available" } else { "in_use" },
        "specs": {"perf_iops": 5000, "class": "sbs"}, "last_detached_at": null})
}

fn local(extra: &FakeExtra, world: &World) -> Value {
    let mut body = json!({"id": extra.id, "name": "snapshot-de728daa", "size": 20_000_000_000_u64, "volume_type": "l_ssd",
        "organization": PROJECT, "project": PROJECT, "tags": [], "state": "available", "zone": extra.place,
        "creation_date": "2025-11-04T10:17:37.196519+00:00", "modification_date": "2025-11-04T10:17:37.196519+00:00"});
    let server = extra_server(extra, world);
    if !server.is_null() {
        body["server"] = server;
    }
    body
}

fn disks(request: &Request, zone: &str, rest: &[&str], is_local: bool, world: &mut World) -> Answer {
    let here =
        |extra: &&FakeExtra| extra.place == zone && extra.address.is_none() && extra.is_local == is_local;
    let render = if is_local { local } else { block };
    let resource = if is_local { "instance_volume" } else { "volume" };
    match rest {
        [] => {
            let hangs_on = |extra: &&FakeExtra| {
                request.query("product_resource_id").is_none_or(|id| extra.instance.as_deref() == Some(id))
            };
            let found = world.extras.iter().filter(here).filter(hangs_on);
            let found: Vec<Value> = found.map(|own| render(own, world)).collect();
            if is_local { list(request, "volumes", &found) } else { counted(request, "volumes", &found) }
        }
        [id, ..] => {
            let Some(own) = world.extras.iter().filter(here).find(|extra| extra.id == *id) else {
                return absent(resource, id);
            };
            let body = render(own, world);
            if request.method == "GET" {
                return Answer::ok(&if is_local { json!({"volume": body}) } else { body });
            }
            if !extra_server(own, world).is_null() {
                return refuse(Refusal::Conflict("volume is in use: detach it first".to_owned()));
            }
            world.extras.retain(|extra| extra.id != *id);
            Answer::empty(204)
        }
    }
}

fn flexible(extra: &FakeExtra, world: &World) -> Value {
    let mut body = json!({"id": extra.id, "address": extra.address, "reverse": null,
        "organization": PROJECT, "project": PROJECT, "tags": [], "zone": extra.place, "type": "routed_ipv4",
        "state": if extra.instance.is_some() { "attached" } else { "detached" }});
    let server = extra_server(extra, world);
    if !server.is_null() {
        body["server"] = server;
    }
    body
}

fn addresses(request: &Request, zone: &str, rest: &[&str], world: &mut World) -> Answer {
    let here = |extra: &&FakeExtra| extra.place == zone && extra.address.is_some();
    let find = |id: &str, world: &World| {
        let is_it =
            |extra: &&FakeExtra| extra.id == id || extra.address.is_some_and(|own| own.to_string() == id);
        world.extras.iter().filter(here).find(is_it).cloned()
    };
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let found: Vec<Value> =
                world.extras.iter().filter(here).map(|own| flexible(own, world)).collect();
            list(request, "ips", &found)
        }
        ("POST", []) => {
            let (id, address) = (world.id(), world.next_address());
            let (place, instance) = (zone.to_owned(), request.text("server"));
            if let Some(own) = instance.as_ref().and_then(|id| world.instance(id)) {
                own.address = address;
                own.address_in = own.address_in.min(1);
            }
            let made_for = instance.clone().unwrap_or_default();
            let extra = FakeExtra { id, place, instance, made_for, address: Some(address), is_local: false };
            world.extras.push(extra.clone());
            Answer::json(201, &json!({"ip": flexible(&extra, world)}))
        }
        ("GET", [id]) => match find(id, world) {
            Some(own) => Answer::ok(&json!({"ip": flexible(&own, world)})),
            None => absent("instance_ip", id),
        },
        ("DELETE", [id]) => {
            let Some(own) = find(id, world) else { return absent("instance_ip", id) };
            world.extras.retain(|extra| extra.id != own.id);
            Answer::empty(204)
        }
        _ => absent("instance_ip", ""),
    }
}
