// Package dev is the whole product in one process: Temporal with its web UI,
// the API, the worker, a LINE Platform simulator with a phone page, and seeded
// data. State is in a data directory; the process may be killed at any instant
// and goes on where it was.
package dev

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"kaiwa/internal/keyring"
	"kaiwa/internal/settings"
)

// Settings are kaiwa-dev's. Everything has a default that works on a laptop.
type Settings struct {
	settings.Common
	settings.Outside
	settings.HTTP
	DataDir        string `name:"data-dir" aliases:"kaiwa-data-dir" env:"KAIWA_DATA_DIR" default:".kaiwa" help:"where everything is kept"`
	AdminToken     string `name:"admin-token" aliases:"kaiwa-admin-token" env:"KAIWA_ADMIN_TOKEN" default:"kaiwa-dev-admin" help:"token of the seeded administrator"`
	SimulatorAddr  string `name:"simulator-addr" aliases:"kaiwa-simulator-addr" env:"KAIWA_SIMULATOR_ADDR" default:"127.0.0.1:8090" help:"LINE simulator and phone page; port 0 picks a free one"`
	TemporalAddr   string `name:"temporal-addr" aliases:"kaiwa-temporal-addr" env:"KAIWA_TEMPORAL_ADDR" default:"127.0.0.1:7233" help:"embedded Temporal; port 0 picks a free one"`
	TemporalUIAddr string `name:"temporal-ui-addr" aliases:"kaiwa-temporal-ui-addr" env:"KAIWA_TEMPORAL_UI_ADDR" default:"127.0.0.1:8233" help:"Temporal's web UI; port 0 picks a free one"`
}

// complete fills in what depends on the data directory, making it if need be.
func (s *Settings) complete() error {
	for _, set := range []struct{ name, addr string }{
		{"KAIWA_HTTP_ADDR", s.HTTPAddr}, {"KAIWA_SIMULATOR_ADDR", s.SimulatorAddr}, {"KAIWA_TEMPORAL_ADDR", s.TemporalAddr}, {"KAIWA_TEMPORAL_UI_ADDR", s.TemporalUIAddr},
	} {
		if err := settings.Addr(set.name, set.addr); err != nil {
			return err
		}
	}
	if s.DataDir == "" {
		return errors.New("KAIWA_DATA_DIR is missing: set it to a directory, such as .kaiwa")
	}
	dir, err := filepath.Abs(s.DataDir)
	if err != nil {
		return fmt.Errorf("KAIWA_DATA_DIR is wrong: %w", err)
	}
	s.DataDir = dir
	if err := os.MkdirAll(filepath.Join(dir, "blobs"), 0o700); err != nil {
		return fmt.Errorf("KAIWA_DATA_DIR is wrong: %w", err)
	}
	if s.LogLevel == "" {
		s.LogLevel = "info"
	}
	if s.DatabaseURL == "" {
		s.DatabaseURL = "sqlite:" + filepath.Join(dir, "kaiwa.db")
	}
	if s.BlobURL == "" {
		s.BlobURL = (&url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(dir, "blobs"))}).String()
	}
	if s.SecretKeys == "" {
		if s.SecretKeys, err = generatedKeys(filepath.Join(dir, "secret-keys")); err != nil {
			return err
		}
	}
	if (s.LINEAPIURL == "") != (s.LINEDataAPIURL == "") {
		return errors.New("KAIWA_LINE_API_URL and KAIWA_LINE_DATA_API_URL belong together: set both, or neither for the simulator")
	}
	return s.check()
}

// check finds what is wrong before anything is started.
func (s *Settings) check() error {
	if err := s.Common.Check(); err != nil {
		return err
	}
	outside := s.Outside
	if outside.PublicURL == "" {
		outside.PublicURL = "http://127.0.0.1" // it will be where the API listens
	}
	if err := outside.Check(); err != nil {
		return err
	}
	return s.HTTP.Check()
}

// generatedKeys reads the key ring made at the first start, or makes it. The
// file appears whole or not at all.
func generatedKeys(path string) (string, error) {
	have, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(have)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("KAIWA_DATA_DIR: %w", err)
	}
	made, err := keyring.Generate("dev")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(path+".new", []byte(made+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("KAIWA_DATA_DIR: %w", err)
	}
	return made, os.Rename(path+".new", path)
}
