//! A real nginx, with a configuration that is under test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use super::process::Process;
use super::stream::{Address, Stream};
use super::wait;

/// A running nginx. It ends with the test.
#[derive(Debug)]
pub(crate) struct Nginx {
    process: Process,
}

impl Drop for Nginx {
    /// Its workers are processes of their own, who would outlive a master that is killed.
    fn drop(&mut self) {
        self.process.signal(Signal::TERM);
        wait::until("nginx ends", || self.process.ended());
    }
}

impl Nginx {
    /// Starts it in `dir` with what stands in `http`, and waits until it listens on `address`.
    pub(crate) fn start(dir: &Path, http: &str, address: &Address) -> Nginx {
        // nginx' workers have a user of their own.
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
        let file = configuration(dir, http);
        let mut command = Command::new(program());
        let process = Process::start(command.arg("-p").arg(dir).arg("-c").arg(&file));
        wait::until("nginx listens", || Stream::connect(address).ok());
        Nginx { process }
    }
}

/// The files of such an nginx, with the snippets where the sites look for them.
fn configuration(dir: &Path, http: &str) -> PathBuf {
    let text = format!(
        "daemon off; worker_processes 1; error_log stderr; pid {dir}/nginx.pid;\n\
         events {{}}\n\
         http {{ access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;\n\
         fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;\n\
         include site.conf; }}\n",
        dir = dir.display(),
    );
    let snippets = dir.join("snippets");
    fs::create_dir_all(&snippets).unwrap();
    // A test may have put a broken one there.
    if !snippets.join("ws4redis.conf").exists() {
        let ours = "docs/nginx/snippets/ws4redis.conf";
        fs::copy(ours, snippets.join("ws4redis.conf")).unwrap();
    }
    fs::write(dir.join("site.conf"), http).unwrap();
    let file = dir.join("nginx.conf");
    fs::write(&file, text).unwrap();
    file
}

fn program() -> &'static Path {
    // Debian keeps it in /usr/sbin, which is not on everybody's PATH.
    let installed = Path::new("/usr/sbin/nginx");
    if installed.exists() {
        installed
    } else {
        Path::new("nginx")
    }
}
