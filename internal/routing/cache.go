package routing

import "sync"

// cacheSize is how many conditions one generation holds: more than a
// workstream can have.
const cacheSize = 2048

// cache remembers compiled conditions by their text, for compiling costs a
// hundred times an evaluation. It holds two generations: when the young one is
// full it becomes the old one, and what nobody asked for since goes.
type cache struct {
	mu         sync.Mutex
	young, old map[string]*condition
}

var compiled cache

func (c *cache) get(expr string) (*condition, *ConditionError) {
	c.mu.Lock()
	found := c.young[expr]
	if found == nil {
		if found = c.old[expr]; found != nil {
			c.put(expr, found)
		}
	}
	c.mu.Unlock()
	if found != nil {
		return found, nil
	}
	fresh, err := compile(expr)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.put(expr, fresh)
	c.mu.Unlock()
	return fresh, nil
}

// put is called with the lock held.
func (c *cache) put(expr string, x *condition) {
	if c.young == nil || len(c.young) >= cacheSize {
		c.young, c.old = make(map[string]*condition), c.young
	}
	c.young[expr] = x
}
