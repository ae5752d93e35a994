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
	young, old map[scoped]*condition
}

// scoped is a condition's text, and what it is asked over.
type scoped struct {
	scope scope
	expr  string
}

var compiled cache

func (c *cache) get(s scope, expr string) (*condition, *ConditionError) {
	key := scoped{s, expr}
	c.mu.Lock()
	found := c.young[key]
	if found == nil {
		if found = c.old[key]; found != nil {
			c.put(key, found)
		}
	}
	c.mu.Unlock()
	if found != nil {
		return found, nil
	}
	fresh, err := s.compile(expr)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.put(key, fresh)
	c.mu.Unlock()
	return fresh, nil
}

// put is called with the lock held.
func (c *cache) put(key scoped, x *condition) {
	if c.young == nil || len(c.young) >= cacheSize {
		c.young, c.old = make(map[scoped]*condition), c.young
	}
	c.young[key] = x
}
