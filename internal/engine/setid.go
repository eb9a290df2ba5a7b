package engine

// usuallySetID are the programs distributions install with set-id bits. A layer that has one of them without the bits
// took them away, which is recorded to hide the lower layer's: an analysis does not list the other files of a layer.
var usuallySetID = map[string]bool{
	"at": true, "bsd-write": true, "busybox": true, "bbsuid": true, "chage": true, "chfn": true, "chsh": true, "crontab": true,
	"dbus-daemon-launch-helper": true, "dotlockfile": true, "expiry": true, "fusermount": true, "fusermount3": true,
	"gpasswd": true, "locate": true, "mlocate": true, "mount": true, "mount.cifs": true, "mount.nfs": true, "newgidmap": true,
	"newgrp": true, "newuidmap": true, "ntfs-3g": true, "pam_timestamp_check": true, "passwd": true, "ping": true, "ping6": true,
	"pkexec": true, "polkit-agent-helper-1": true, "pppd": true, "sg": true, "ssh-agent": true, "ssh-keysign": true, "su": true,
	"sudo": true, "sudoedit": true, "traceroute6.iputils": true, "umount": true, "unix2_chkpwd": true, "unix_chkpwd": true,
	"usernetctl": true, "userhelper": true, "utempter": true, "wall": true, "write": true, "write.ul": true,
}
