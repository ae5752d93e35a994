package bench

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Machine is where and with what a run was made.
type Machine struct {
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	MemoryMB int    `json:"memory_mb"` // 0 where the system does not tell
	System   string `json:"system"`
	Go       string `json:"go"`
	Kaiwa    string `json:"kaiwa"`
	Temporal string `json:"temporal"`
	Database string `json:"database"`
}

func (m Machine) String() string {
	memory := ""
	if m.MemoryMB > 0 {
		memory = fmt.Sprintf(", %d GB", (m.MemoryMB+512)/1024)
	}
	return fmt.Sprintf("%s, %d cores%s, %s, %s, Temporal %s, %s", m.CPU, m.Cores, memory, m.System, m.Go, m.Temporal, m.Database)
}

// thisMachine tells what can be told without asking a service.
func thisMachine() Machine {
	m := Machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), System: runtime.GOOS, Go: runtime.Version()}
	if model := procField("/proc/cpuinfo", "model name"); model != "" {
		m.CPU = model
	}
	var kb int
	if _, err := fmt.Sscanf(procField("/proc/meminfo", "MemTotal"), "%d kB", &kb); err == nil {
		m.MemoryMB = kb / 1024
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.System += " " + strings.TrimSpace(string(release))
	}
	return m
}

// procField is the first value of a name in a file of Linux's; "" elsewhere.
func procField(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
