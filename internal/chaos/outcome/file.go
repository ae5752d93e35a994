package outcome

import (
	"encoding/json"
	"fmt"
	"os"
)

// Save writes an outcome to a file, to be looked at again.
func Save(path string, o *Outcome) error {
	raw, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		return fmt.Errorf("save outcome: %w", err)
	}
	return os.WriteFile(path, append(raw, '\n'), 0o600)
}

// Load reads an outcome that was saved.
func Load(path string) (*Outcome, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	o := &Outcome{}
	if err := json.Unmarshal(raw, o); err != nil {
		return nil, fmt.Errorf("load outcome %s: %w", path, err)
	}
	return o, nil
}
