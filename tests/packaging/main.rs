//! What surrounds the programs: units, installer, scripts and the shape of the dependency tree, judged by the
//! tools that will read them. Nothing here starts a daemon or touches the host it runs on.

mod dependencies;
mod install;
mod installed;
mod launchd;
mod programs;
mod scripts;
mod systemd;
