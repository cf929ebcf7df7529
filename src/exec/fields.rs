//! Where the fields of the kernel's structures are that the programs read.
//!
//! Refuses to guess: a field that the kernel's types do not name is an error, and the trace is made in another way.

use super::btf::{self, BtfError};
use std::io::{Read, Seek};

/// Offsets of the fields that are read, in the running kernel.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) tgid: i32,
    pub(super) pid: i32,
    pub(super) real_parent: i32,
    pub(super) mm: i32,
    pub(super) cred: i32,
    pub(super) fs: i32,
    pub(super) namespaces: i32,
    pub(super) mount_namespace: i32,
    pub(super) exit_code: i32,
    pub(super) signal: i32,
    pub(super) live: i32,
    pub(super) signal_flags: i32,
    pub(super) group_exit_code: i32,
    pub(super) uid: i32,
    pub(super) euid: i32,
    pub(super) pwd_mount: i32,
    pub(super) pwd_dentry: i32,
    pub(super) exe: i32,
    pub(super) exe_mount: i32,
    pub(super) exe_dentry: i32,
    pub(super) arg_start: i32,
    pub(super) arg_end: i32,
    pub(super) parent: i32,
    pub(super) name: i32,
    pub(super) hashed: i32,
    pub(super) mount_root: i32,
    pub(super) mount: i32,
    pub(super) mount_parent: i32,
    pub(super) mount_point: i32,
    pub(super) mounted_in: i32,
}

impl Fields {
    /// Finds them in the kernel's types (see [`btf::offsets`]).
    pub(super) fn find(types: impl Read + Seek) -> Result<Self, BtfError> {
        let mut fields = Self::default();
        let wanted = fields.table();
        let found = btf::offsets(types, wanted.each_ref().map(|(name, path, _)| (*name, *path)))?;
        for ((_, _, field), offset) in wanted.into_iter().zip(found) {
            *field = offset;
        }
        Ok(fields)
    }

    /// Every field with the structure it is in and its path there.
    fn table(&mut self) -> [(&'static str, &'static str, &mut i32); 30] {
        [
            ("task_struct", "tgid", &mut self.tgid),
            ("task_struct", "pid", &mut self.pid),
            ("task_struct", "real_parent", &mut self.real_parent),
            ("task_struct", "mm", &mut self.mm),
            ("task_struct", "cred", &mut self.cred),
            ("task_struct", "fs", &mut self.fs),
            ("task_struct", "nsproxy", &mut self.namespaces),
            ("nsproxy", "mnt_ns", &mut self.mount_namespace),
            ("task_struct", "exit_code", &mut self.exit_code),
            ("task_struct", "signal", &mut self.signal),
            ("signal_struct", "live", &mut self.live),
            ("signal_struct", "flags", &mut self.signal_flags),
            ("signal_struct", "group_exit_code", &mut self.group_exit_code),
            ("cred", "uid", &mut self.uid),
            ("cred", "euid", &mut self.euid),
            ("fs_struct", "pwd.mnt", &mut self.pwd_mount),
            ("fs_struct", "pwd.dentry", &mut self.pwd_dentry),
            ("mm_struct", "exe_file", &mut self.exe),
            ("file", "f_path.mnt", &mut self.exe_mount),
            ("file", "f_path.dentry", &mut self.exe_dentry),
            ("mm_struct", "arg_start", &mut self.arg_start),
            ("mm_struct", "arg_end", &mut self.arg_end),
            ("dentry", "d_parent", &mut self.parent),
            ("dentry", "d_name.name", &mut self.name),
            ("dentry", "d_hash.pprev", &mut self.hashed),
            ("vfsmount", "mnt_root", &mut self.mount_root),
            ("mount", "mnt", &mut self.mount),
            ("mount", "mnt_parent", &mut self.mount_parent),
            ("mount", "mnt_mountpoint", &mut self.mount_point),
            ("mount", "mnt_ns", &mut self.mounted_in),
        ]
    }
}
