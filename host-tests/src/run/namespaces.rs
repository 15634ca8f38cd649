//! Runs that see other files than the machine has.

use super::Run;
use std::ffi::OsStr;
use std::path::Path;

impl Run {
    /// Runs it where this text stands in the place of a file that there is.
    pub fn seeing(self, file: &str, text: &str) -> Run {
        self.in_namespace(
            r#"shown=$(mktemp) && printf %s "$2" > "$shown" && mount --bind "$shown" "$1" \
                && rm "$shown" && shift 2 && exec "$@""#,
            [file, text].map(OsStr::new),
        )
    }

    /// Runs it where this folder is also to be seen at a place that there is not,
    /// right below the root.
    pub fn seeing_folder(self, place: &str, folder: &Path) -> Run {
        self.in_namespace(
            r#"mount -t tmpfs tmpfs /mnt || exit
            for entry in /*; do
                if [ -L "$entry" ]; then cp -P "$entry" /mnt
                elif [ -d "$entry" ]; then mkdir "/mnt$entry" && mount --rbind "$entry" "/mnt$entry"
                fi || exit
            done
            mkdir "/mnt$1" && mount --bind "$2" "/mnt$1" && shift 2 && exec chroot /mnt "$@""#,
            [OsStr::new(place), folder.as_os_str()],
        )
    }

    /// Lets a shell's script, which gets two arguments of its own, set a mount
    /// namespace up for it.
    fn in_namespace(self, script: &str, arguments: [&OsStr; 2]) -> Run {
        let unshare = ["--map-root-user", "--mount", "sh", "-c", script, "sh"].map(OsStr::new);
        self.through("unshare", unshare.into_iter().chain(arguments))
    }
}
