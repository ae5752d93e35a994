package api

import (
	"context"
	"sync"
	"time"

	"kaiwa/internal/store"
)

// channelCache keeps the channels that webhooks come for, so that a webhook
// costs one statement. What this process changes is forgotten at once, what
// another one changes after ttl.
type channelCache struct {
	ttl  time.Duration
	load func(ctx context.Context, id string) (store.Channel, error)

	mu      sync.Mutex
	entries map[string]cachedChannel
	forgets int64 // how often something was forgotten
}

type cachedChannel struct {
	channel store.Channel
	until   time.Time
}

func newChannelCache(ttl time.Duration, load func(context.Context, string) (store.Channel, error)) *channelCache {
	return &channelCache{ttl: ttl, load: load, entries: map[string]cachedChannel{}}
}

// get returns a channel, and whether it was read just now.
func (c *channelCache) get(ctx context.Context, id string) (_ store.Channel, fresh bool, _ error) {
	c.mu.Lock()
	e, ok := c.entries[id]
	c.mu.Unlock()
	if ok && time.Now().Before(e.until) {
		return e.channel, false, nil
	}
	ch, err := c.read(ctx, id)
	return ch, true, err
}

// read reads a channel past the cache.
func (c *channelCache) read(ctx context.Context, id string) (store.Channel, error) {
	c.mu.Lock()
	before := c.forgets
	c.mu.Unlock()
	ch, err := c.load(ctx, id)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		delete(c.entries, id)
		return ch, err
	}
	if c.forgets == before { // otherwise what was read may be what was changed
		c.entries[id] = cachedChannel{ch, time.Now().Add(c.ttl)}
	}
	return ch, nil
}

// forget is called when a channel was changed.
func (c *channelCache) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, id)
	c.forgets++
}
