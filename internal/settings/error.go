package settings

import "fmt"

// Error says which setting stops the start, in one sentence that begins with
// its name.
type Error struct {
	Name    string // such as KAIWA_DATABASE_URL
	Problem string // such as "is missing: set it to …"
}

func (e *Error) Error() string { return e.Name + " " + e.Problem }

// Missing is the Error of a setting that is not set and must be.
func Missing(name, want string) error {
	return &Error{name, "is missing: set it to " + want}
}

// Wrong is the Error of a setting whose value cannot work. The reason must not
// repeat a secret.
func Wrong(name, format string, args ...any) error {
	return &Error{name, "is wrong: " + fmt.Sprintf(format, args...)}
}
