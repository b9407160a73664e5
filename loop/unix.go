package loop

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unixPrefix begins the address of a unix socket.
const unixPrefix = "unix:"

// IsUnix reports whether a listen address is that of a unix socket, and its path.
func IsUnix(addr string) (path string, ok bool) { return strings.CutPrefix(addr, unixPrefix) }

// maxSocketPath is what sockaddr_un holds (unix(7)), without its NUL.
const maxSocketPath = 107

// unixListener is a listener on a socket that was moved to its path when it had its
// mode and owner: nobody can connect before.
type unixListener struct {
	*net.UnixListener
	path string
	info fs.FileInfo // of the socket, to know it again
}

// Addr implements net.Listener.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: unixPrefix + l.path, Net: "unix"} }

// Close implements net.Listener. It removes the socket, unless another one has
// taken its path.
func (l *unixListener) Close() error {
	err := l.UnixListener.Close()
	if info, serr := os.Lstat(l.path); serr == nil && os.SameFile(info, l.info) {
		_ = os.Remove(l.path)
	}
	return err
}

// listenUnix opens a socket at path. What is there is removed only when it is a
// socket that nobody listens on.
func listenUnix(path string, l *Listener) (net.Listener, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("listen address %s%s: want an absolute path", unixPrefix, path)
	}
	if err := clearSocket(path); err != nil {
		return nil, err
	}
	// Beside its path, in a folder that nobody else can look into.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".sock")
	if err != nil {
		return nil, fmt.Errorf("listening on %s%s: %w", unixPrefix, path, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	first := filepath.Join(dir, "s")
	if n := max(len(first), len(path)); n > maxSocketPath {
		return nil, fmt.Errorf("listen address %s%s: the path is too long by %d bytes", unixPrefix, path, n-maxSocketPath)
	}
	ln, err := new(net.ListenConfig).Listen(context.Background(), "unix", first)
	if err != nil {
		return nil, fmt.Errorf("listening on %s%s: %w", unixPrefix, path, err)
	}
	u := ln.(*net.UnixListener)
	u.SetUnlinkOnClose(false) // that would be of the first path
	info, err := settleSocket(first, path, l)
	if err != nil {
		_ = u.Close()
		return nil, fmt.Errorf("listening on %s%s: %w", unixPrefix, path, err)
	}
	return &unixListener{u, path, info}, nil
}

// settleSocket gives the socket its mode and owner, and moves it to its path.
func settleSocket(first, path string, l *Listener) (fs.FileInfo, error) {
	mode := l.Mode
	if mode == 0 {
		mode = 0o600
	}
	if err := os.Chmod(first, mode.Perm()); err != nil {
		return nil, err
	}
	if l.Owner != nil {
		if err := os.Chown(first, l.Owner.UID, l.Owner.GID); err != nil {
			return nil, err
		}
	}
	// What has appeared there meanwhile stays.
	if err := unix.Renameat2(unix.AT_FDCWD, first, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE); err != nil {
		return nil, &os.LinkError{Op: "rename", Old: first, New: path, Err: err}
	}
	return os.Lstat(path)
}

// clearSocket makes room at path, or says why there is none.
func clearSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("listen address %s%s: %w", unixPrefix, path, err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("listen address %s%s: there is something that is no socket; it is left alone", unixPrefix, path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	switch {
	case err == nil:
		return fmt.Errorf("listen address %s%s is already in use", unixPrefix, path)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("listen address %s%s: there is a socket that cannot be asked whether somebody listens: %w", unixPrefix, path, err)
	}
	// Of a process that was killed. It goes away under a name of its own, so that of
	// two servers that start at once one cannot remove what the other has just made.
	stale := path + ".stale"
	if err := os.Rename(path, stale); err != nil {
		return err
	}
	if now, err := os.Lstat(stale); err != nil || !os.SameFile(info, now) {
		return errors.Join(fmt.Errorf("listen address %s%s is already in use", unixPrefix, path), os.Rename(stale, path))
	}
	return os.Remove(stale)
}
