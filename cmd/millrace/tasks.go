package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"millrace/server/mcp"
	"millrace/server/taskstore"
)

// dataFlags say where tasks are kept. Stdio has its own default, see there.
type dataFlags struct {
	DataDir string `default:"${state_directory}" placeholder:"DIR" help:"Directory for what must survive the process: tasks. No other process can use it meanwhile. Default of serve: $$STATE_DIRECTORY, which systemd sets. Without one, tasks end with the process."`
	Sync    bool   `help:"Wait for the disk, so that what is in the data directory survives a loss of power too."`
}

// stateDirectory returns the directory that systemd gives to a service, from
// $STATE_DIRECTORY, which is a list when the unit names several: then the first.
func stateDirectory(list string) string {
	first, _, _ := strings.Cut(list, ":")
	return first
}

func (f *dataFlags) check() error {
	if f.Sync && f.DataDir == "" {
		return usageError{errors.New("--sync needs a directory to keep tasks in: set --data-dir")}
	}
	return nil
}

// openTasks opens the store of tasks; it is nil when there is no directory for
// it. closeStore, which is never nil, is for when the server has ended.
func (f *dataFlags) openTasks(log logger) (store mcp.TaskStore, closeStore func(), err error) {
	if f.DataDir == "" {
		return nil, func() {}, nil
	}
	file, err := taskstore.Open(filepath.Join(f.DataDir, "tasks"), &taskstore.Options{Sync: f.Sync, Logger: log})
	if err != nil {
		return nil, nil, fmt.Errorf("data directory: %w", err)
	}
	return file, func() { _ = file.Close() }, nil
}
