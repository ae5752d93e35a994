package classifier

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"kaiwa/internal/routing"
)

// maxSkills is how many skills an answer may name.
const maxSkills = routing.MaxRequiredSkills

// The answer of a service:
//
//	{intent?, sentiment?, language?: {value, confidence?}, skills?: [{skill, level?, confidence?}]}
//
// A skill is named by its id or name. A confidence that is not given is 1, a
// level 1. Fields that are not known are ignored, so that a service may be newer
// than Kaiwa; of those that are, one wrong spoils the answer.
type answerDocument struct {
	Intent    *gradedDocument `json:"intent"`
	Sentiment *gradedDocument `json:"sentiment"`
	Language  *gradedDocument `json:"language"`
	Skills    []skillDocument `json:"skills"`
}

type gradedDocument struct {
	Value      *string  `json:"value"`
	Confidence *float64 `json:"confidence"`
}

type skillDocument struct {
	Skill      *string  `json:"skill"`
	Level      *int     `json:"level"`
	Confidence *float64 `json:"confidence"`
}

func readAnswer(body []byte) (routing.Answer, error) {
	answer, err := parseAnswer(body)
	if err != nil {
		return routing.Answer{}, &Error{Failure: routing.ServiceBadAnswer, Err: err}
	}
	return answer, nil
}

func parseAnswer(body []byte) (a routing.Answer, err error) {
	if !utf8.Valid(body) {
		return a, errors.New("the answer is not UTF-8")
	}
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] != '{' {
		return a, errors.New("the answer is no object")
	}
	var doc answerDocument
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(&doc); err != nil {
		return a, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return a, errors.New("something follows the answer")
	}
	for _, part := range []struct {
		name string
		from *gradedDocument
		to   **routing.Graded
	}{{"intent", doc.Intent, &a.Intent}, {"sentiment", doc.Sentiment, &a.Sentiment}, {"language", doc.Language, &a.Language}} {
		if part.from == nil || part.from.Value == nil {
			continue
		}
		sure, err := confidence(part.name, part.from.Confidence)
		if err != nil {
			return a, err
		}
		*part.to = &routing.Graded{Value: *part.from.Value, Confidence: sure}
	}
	if len(doc.Skills) > maxSkills {
		return a, fmt.Errorf("the answer names more than %d skills", maxSkills)
	}
	for _, k := range doc.Skills {
		if k.Skill == nil {
			return a, errors.New("a skill of the answer has no name")
		}
		sure, err := confidence("skill", k.Confidence)
		if err != nil {
			return a, err
		}
		level := routing.MinLevel
		if k.Level != nil {
			level = *k.Level
		}
		a.Skills = append(a.Skills, routing.GradedSkill{Skill: *k.Skill, Level: level, Confidence: sure})
	}
	return a, nil
}

func confidence(of string, given *float64) (float64, error) {
	switch {
	case given == nil:
		return 1, nil
	case *given < 0 || *given > 1:
		return 0, fmt.Errorf("the confidence of the answer's %s is not between 0 and 1", of)
	}
	return *given, nil
}
