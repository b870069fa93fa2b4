//! Shells on xNodes and tunnels to them: each answer is a stream.

use axum::{extract::State, response::Response};
use capsule_api::{
    CONNECTION_PROTOCOL, SHELL_PROTOCOL, ShellRequest, TUNNEL_PROTOCOL, TunnelConnectionRequest, TunnelId,
    TunnelRequest,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{By, Json, OptionalJson, Path},
        upgrade::Upgrade,
    },
    usecases::remote,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(open_xnode_shell))
        .routes(routes!(open_xnode_tunnel))
        .routes(routes!(open_tunnel_connection))
}

/// Open a shell
///
/// A login shell or one command on the xNode, over an SSH connection that the daemon makes with the key it keeps.
/// Send `Connection: Upgrade` and `Upgrade: capsule-shell`; after the 101 both sides send frames: a byte for the
/// kind, four bytes for the payload's length (big-endian, at most 65,536), the payload. To the daemon: 0 input,
/// 1 end of input, 2 the terminal's size (columns and rows, two bytes each). From the daemon: 3 output, 4 error
/// output, 5 exit status (four bytes), 6 why there is none (text). Closing the connection hangs up.
#[utoipa::path(
    post, path = "/v1/xnodes/{xnode}/shell", tag = "remote", request_body = ShellRequest,
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id.")),
    responses((status = 101, description = "The connection carries frames from now on.")),
)]
async fn open_xnode_shell(
    State(api): State<Api>,
    By(by): By,
    Path(xnode): Path<String>,
    upgrade: Upgrade,
    OptionalJson(request): OptionalJson<ShellRequest>,
) -> Result<Response, ApiError> {
    let agreed = upgrade.to(SHELL_PROTOCOL)?;
    let shell = remote::open_shell(&api.context, &api.remote, &by, &xnode, &request).await?;
    let stop = api.stop.clone();
    Ok(agreed.run(&api.tasks, move |stream| shell.run(stream, stop)))
}

/// Open a tunnel
///
/// Send `Connection: Upgrade` and `Upgrade: capsule-tunnel`; after the 101 the daemon sends lines of JSON
/// (`TunnelNews`), the first of which names the tunnel. The tunnel and every connection through it end with this
/// stream.
#[utoipa::path(
    post, path = "/v1/xnodes/{xnode}/tunnels", tag = "remote", request_body = TunnelRequest,
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id.")),
    responses((status = 101, description = "The connection carries news of the tunnel from now on.")),
)]
async fn open_xnode_tunnel(
    State(api): State<Api>,
    By(by): By,
    Path(xnode): Path<String>,
    upgrade: Upgrade,
    Json(request): Json<TunnelRequest>,
) -> Result<Response, ApiError> {
    let agreed = upgrade.to(TUNNEL_PROTOCOL)?;
    let tunnel = remote::open_tunnel(&api.context, &api.remote, &by, &xnode, request).await?;
    let stop = api.stop.clone();
    Ok(agreed.run(&api.tasks, move |stream| tunnel.run(stream, stop)))
}

/// Connect through a tunnel
///
/// Send `Connection: Upgrade` and `Upgrade: capsule-connection`; after the 101 the connection carries the bytes
/// of one TCP connection, and when one side ends its half the other goes on. A `local` tunnel connects to its
/// target; of a `remote` one, say which of the connections that came there.
#[utoipa::path(
    post, path = "/v1/tunnels/{tunnel}/connections", tag = "remote", request_body = TunnelConnectionRequest,
    params(("tunnel" = TunnelId, Path, description = "The tunnel's id; only for the user who opened it.")),
    responses((status = 101, description = "The connection carries the bytes of the other from now on.")),
)]
async fn open_tunnel_connection(
    State(api): State<Api>,
    By(by): By,
    Path(tunnel): Path<TunnelId>,
    upgrade: Upgrade,
    OptionalJson(request): OptionalJson<TunnelConnectionRequest>,
) -> Result<Response, ApiError> {
    let agreed = upgrade.to(CONNECTION_PROTOCOL)?;
    let carried = remote::connect(&api.remote, &by, tunnel, request).await?;
    let stop = api.stop.clone();
    Ok(agreed.run(&api.tasks, move |stream| carried.run(stream, stop)))
}
