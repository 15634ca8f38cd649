// Package ttlmap is a map whose entries expire.
package ttlmap

import (
	"sync"
	"time"
)

// Map holds each value for a fixed time after it was added.
type Map[K comparable, V any] struct {
	mutex   sync.Mutex
	ttl     time.Duration
	entries map[K]entry[V]
}

type entry[V any] struct {
	value   V
	expires time.Time
}

// New makes a map whose entries live for ttl.
func New[K comparable, V any](ttl time.Duration) *Map[K, V] {
	return &Map[K, V]{ttl: ttl, entries: make(map[K]entry[V])}
}

// AutoExpire removes expired entries in the background, for as long as the process lives.
func (m *Map[K, V]) AutoExpire() {
	go func() {
		for now := range time.Tick(m.ttl) {
			m.mutex.Lock()
			for key, entry := range m.entries {
				if now.After(entry.expires) {
					delete(m.entries, key)
				}
			}
			m.mutex.Unlock()
		}
	}()
}

// Add puts a value in, in place of an older one.
func (m *Map[K, V]) Add(key K, value V) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.entries[key] = entry[V]{value, time.Now().Add(m.ttl)}
}

// Get returns the value of a key that has not expired.
func (m *Map[K, V]) Get(key K) (V, bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	entry, found := m.entries[key]
	if !found || time.Now().After(entry.expires) {
		var none V
		return none, false
	}
	return entry.value, true
}
