package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strconv"
	"strings"
	"sync"
	"time"

	"kaiwa/internal/consent"
	"kaiwa/internal/linesim"
)

// customer plays a life on a phone.
type customer struct {
	*life
	*phone
	sim     *linesim.Simulator
	channel string // of LINE
	id      string
	pace    *pace
	began   int    // how many messages the phone showed when the visit began
	heard   int    // and when the customer did something last
	sent    string // LINE's id of what they sent last
}

func newCustomer(seed uint64, number int, sim *linesim.Simulator, channel string, p *pace) *customer {
	l := newLife(seed, number)
	return &customer{life: l, phone: newPhone(), sim: sim, channel: channel, id: fmt.Sprintf("U%032x", number+1), pace: p}
}

// user is the customer as LINE knows them.
func (c *customer) user() linesim.User {
	return linesim.User{ID: c.id, DisplayName: one(c.dice, c.tongue.names) + " " + c.mark, Language: c.tongue.locale}
}

// play lets the customer come again and again until ctx ends.
func (c *customer) play(ctx context.Context) error {
	for ctx.Err() == nil {
		c.began = c.count()
		for _, d := range c.next() {
			if !rest(ctx, d.after) {
				return nil
			}
			if err := c.do(ctx, d); err != nil && ctx.Err() == nil {
				return fmt.Errorf("customer %s: %w", c.mark, err)
			}
		}
	}
	return nil
}

// rest waits, and tells whether it could to the end.
func rest(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *customer) do(ctx context.Context, d deed) error {
	switch d.kind {
	case says:
		return c.sends(ctx, linesim.Message{Type: "text", Text: d.text})
	case sticks:
		return c.sends(ctx, linesim.Message{Type: "sticker", PackageID: "11537", StickerID: strconv.FormatUint(52002734+d.choice%40, 10)})
	case shows:
		return c.sends(ctx, linesim.Message{Type: "image", ContentType: "image/png", Content: picture(d.choice)})
	case points:
		return c.sends(ctx, linesim.Message{Type: "location", Title: d.text, Address: d.text, Latitude: float64(d.choice%180) - 90, Longitude: float64(d.choice%360) - 180})
	case taps:
		if m, ok := c.last(); ok && len(buttons(m)) > 0 {
			return c.presses(ctx, buttons(m)[d.choice%uint64(len(buttons(m)))])
		}
		return c.sends(ctx, linesim.Message{Type: "text", Text: d.text})
	case unsends:
		if c.sent == "" {
			return nil
		}
		id := c.sent
		c.sent = ""
		return c.acts(ctx, func() (linesim.Sent, error) { return c.sim.Unsend(ctx, c.channel, c.id, id) })
	case blocks:
		return c.acts(ctx, func() (linesim.Sent, error) { return c.sim.Unfollow(ctx, c.channel, c.id) })
	case follows:
		return c.acts(ctx, func() (linesim.Sent, error) { return c.sim.Follow(ctx, c.channel, c.id) })
	case agrees:
		return c.agrees(ctx, d)
	case rates:
		return c.rates(ctx, d)
	case listens:
		c.await(ctx, c.heard, d.patience, func(linesim.ChatMessage) bool { return true })
		return nil
	}
	return fmt.Errorf("no such deed: %d", d.kind)
}

// acts does something that makes an event, when its turn has come. What a phone
// refuses, such as taking back a message that is gone, is no event.
func (c *customer) acts(ctx context.Context, act func() (linesim.Sent, error)) error {
	if !c.pace.take(ctx) {
		return nil
	}
	c.heard = c.count()
	sent, err := act()
	if errors.Is(err, linesim.ErrBlocked) || errors.Is(err, linesim.ErrNotFound) {
		return nil
	}
	if err == nil {
		c.pace.done()
		c.sent = sent.MessageID
	}
	return err
}

func (c *customer) sends(ctx context.Context, m linesim.Message) error {
	return c.acts(ctx, func() (linesim.Sent, error) { return c.sim.Send(ctx, c.channel, c.id, m) })
}

func (c *customer) presses(ctx context.Context, b button) error {
	if b.Type == "message" {
		return c.sends(ctx, linesim.Message{Type: "text", Text: b.Text})
	}
	return c.acts(ctx, func() (linesim.Sent, error) {
		return c.sim.Postback(ctx, c.channel, c.id, b.Data, b.DisplayText, nil)
	})
}

// agrees answers the privacy notice, or refuses it, if it is what the account
// says first.
func (c *customer) agrees(ctx context.Context, d deed) error {
	m, ok := c.await(ctx, c.began, d.patience, func(linesim.ChatMessage) bool { return true })
	if last, some := c.last(); some && asksConsent(last) {
		m = last
	}
	if !ok || !asksConsent(m) {
		return nil
	}
	want, word := consent.Yes, c.tongue.yes
	if d.refuses {
		want, word = consent.No, c.tongue.no
	}
	if d.typed {
		return c.sends(ctx, linesim.Message{Type: "text", Text: word})
	}
	for _, b := range buttons(m) {
		if tap, ok := consent.ReadTap(b.Data); ok && tap.Answer == want {
			return c.presses(ctx, b)
		}
	}
	return nil
}

// rates answers the survey: the first question by a button or its number, the
// second in words, by passing it over, or not at all. Who hurries says more as
// soon as the agent says goodbye, which finds the conversation being closed.
func (c *customer) rates(ctx context.Context, d deed) error {
	wanted := func(m linesim.ChatMessage) bool { return asksSurvey(m) || d.hurries && saysGoodbye(m) }
	m, ok := c.await(ctx, c.began, d.patience, wanted)
	if !ok {
		return nil
	}
	if !asksSurvey(m) {
		return c.sends(ctx, linesim.Message{Type: "text", Text: d.text})
	}
	n := c.count()
	list := buttons(m)
	if d.typed {
		if err := c.sends(ctx, linesim.Message{Type: "text", Text: strconv.FormatUint(d.choice%5+1, 10)}); err != nil {
			return err
		}
	} else if err := c.presses(ctx, list[d.choice%uint64(len(list))]); err != nil {
		return err
	}
	m, ok = c.await(ctx, n, d.patience, asksSurvey)
	switch {
	case !ok:
		return nil
	case d.choice%3 == 0:
		return c.sends(ctx, linesim.Message{Type: "text", Text: d.text})
	case d.choice%3 == 1:
		return c.presses(ctx, buttons(m)[0])
	}
	return nil
}

// saysGoodbye tells whether a message is an agent's last.
func saysGoodbye(m linesim.ChatMessage) bool {
	for _, t := range tongues {
		if strings.HasPrefix(m.Text(), t.goodbye) {
			return true
		}
	}
	return false
}

// picture is a small picture like no other.
func picture(choice uint64) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 24, 16))
	for i := range 24 * 16 {
		v := choice >> (i % 57)
		img.Set(i%24, i/24, color.RGBA{uint8(v), uint8(v >> 3), uint8(i), 255})
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		panic(fmt.Sprintf("chaos: %v", err)) // a buffer takes everything
	}
	return out.Bytes()
}

// pace gives all customers together so many events a second, and counts them.
type pace struct {
	mu    sync.Mutex
	every time.Duration
	next  time.Time
	made  int
}

func newPace(perSecond float64) *pace {
	return &pace{every: time.Duration(float64(time.Second) / perSecond), next: time.Now()}
}

// catchUp is how far the pace may lie behind and still be made good.
const catchUp = 10 * time.Second

// take waits for the next turn; false means that ctx ended before.
func (p *pace) take(ctx context.Context) bool {
	p.mu.Lock()
	if oldest := time.Now().Add(-catchUp); p.next.Before(oldest) {
		p.next = oldest
	}
	at := p.next
	p.next = p.next.Add(p.every)
	p.mu.Unlock()
	return rest(ctx, time.Until(at))
}

func (p *pace) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made++
}

// events is how many were made.
func (p *pace) events() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made
}
