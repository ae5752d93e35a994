package line

import (
	"bytes"
	"errors"
)

// Elements of a JSON array are found by brackets and quotes alone, not by a
// parser: a parser refuses the whole document for one element that is nested
// too deeply or spelled wrongly, and its siblings would be lost with it. What
// an element is worth is decided element by element, by a parser.

var (
	errNotObject = errors.New("the body is not a JSON object")
	errNoEvents  = errors.New("the body has no events array")
)

// splitObject calls visit with the raw key (with its quotes) and the raw value
// of each member of the JSON object data.
func splitObject(data []byte, visit func(key, value []byte)) error {
	i := skipSpace(data, 0)
	if i >= len(data) || data[i] != '{' {
		return errNotObject
	}
	i = skipSpace(data, i+1)
	if i < len(data) && data[i] == '}' {
		return endOfBody(data, i+1)
	}
	for {
		if i >= len(data) || data[i] != '"' {
			return errNotObject
		}
		end, ok := skipString(data, i)
		if !ok {
			return errNotObject
		}
		key := data[i:end]
		i = skipSpace(data, end)
		if i >= len(data) || data[i] != ':' {
			return errNotObject
		}
		i = skipSpace(data, i+1)
		end, ok = skipValue(data, i)
		if !ok {
			return errNotObject
		}
		visit(key, bytes.TrimRight(data[i:end], " \t\r\n"))
		i = skipSpace(data, end)
		switch {
		case i < len(data) && data[i] == ',':
			i = skipSpace(data, i+1)
		case i < len(data) && data[i] == '}':
			return endOfBody(data, i+1)
		default:
			return errNotObject
		}
	}
}

// splitArray returns the raw elements of the JSON array data.
func splitArray(data []byte) ([][]byte, error) {
	if len(data) == 0 || data[0] != '[' {
		return nil, errNoEvents
	}
	elements := [][]byte{}
	i := skipSpace(data, 1)
	if i == len(data)-1 && data[i] == ']' {
		return elements, nil
	}
	for {
		end, ok := skipValue(data, i)
		if !ok {
			return nil, errNoEvents
		}
		elements = append(elements, bytes.TrimRight(data[i:end], " \t\r\n"))
		i = skipSpace(data, end)
		switch {
		case i < len(data) && data[i] == ',':
			i = skipSpace(data, i+1)
		case i == len(data)-1 && data[i] == ']':
			return elements, nil
		default:
			return nil, errNoEvents
		}
	}
}

func endOfBody(data []byte, i int) error {
	if skipSpace(data, i) != len(data) {
		return errNotObject
	}
	return nil
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\r' || data[i] == '\n') {
		i++
	}
	return i
}

// skipString returns the position after the string whose opening quote is at i.
func skipString(data []byte, i int) (int, bool) {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1, true
		}
	}
	return i, false
}

// skipValue returns the position after the value that starts at i. Brackets
// must close in the order they opened, at any depth; a value of no brackets
// extends to the next comma or closing bracket and must not be empty.
func skipValue(data []byte, i int) (int, bool) {
	start := i
	var open []byte
	for i < len(data) {
		switch c := data[i]; c {
		case '"':
			end, ok := skipString(data, i)
			if !ok {
				return end, false
			}
			i = end
			continue
		case '{':
			open = append(open, '}')
		case '[':
			open = append(open, ']')
		case '}', ']':
			if len(open) == 0 {
				return i, i > start
			}
			if open[len(open)-1] != c {
				return i, false
			}
			open = open[:len(open)-1]
		case ',':
			if len(open) == 0 {
				return i, i > start
			}
		}
		i++
	}
	return i, len(open) == 0 && i > start
}
