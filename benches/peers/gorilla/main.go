// Go: gorilla/websocket with its documented pattern (a goroutine that writes for each client, messages prepared once).
package main

import (
	"log"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/gomodule/redigo/redis"
	"github.com/gorilla/websocket"
)

type hub struct {
	sync.RWMutex
	channels map[string]map[chan *websocket.PreparedMessage]bool
	redis    redis.PubSubConn
}

var upgrader = websocket.Upgrader{ReadBufferSize: 512, WriteBufferPool: &sync.Pool{}, WriteBufferSize: 1024}

func connect() (redis.Conn, error) { return redis.Dial("tcp", "127.0.0.1:"+os.Getenv("REDIS_PORT")) }

func main() {
	conn, err := connect()
	if err != nil {
		log.Fatal(err)
	}
	h := &hub{channels: map[string]map[chan *websocket.PreparedMessage]bool{}, redis: redis.PubSubConn{Conn: conn}}
	go h.fanOut()
	pool := &redis.Pool{MaxIdle: 64, MaxActive: 64, Wait: true, Dial: connect}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.serve(pool, w, r)
	})))
}

func (h *hub) serve(pool *redis.Pool, w http.ResponseWriter, r *http.Request) {
	socket, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	channel := "broadcast:" + r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	queue := make(chan *websocket.PreparedMessage, 256)
	h.Lock()
	if h.channels[channel] == nil {
		h.channels[channel] = map[chan *websocket.PreparedMessage]bool{}
		h.redis.Subscribe(channel)
	}
	h.channels[channel][queue] = true
	h.Unlock()
	go func() {
		for message := range queue {
			socket.WritePreparedMessage(message)
		}
		socket.Close()
	}()
	for {
		_, message, err := socket.ReadMessage()
		if err != nil {
			break
		}
		conn := pool.Get()
		conn.Do("PUBLISH", channel, message)
		conn.Close()
	}
	h.Lock()
	h.leave(channel, queue)
	h.Unlock()
}

// With the lock held.
func (h *hub) leave(channel string, queue chan *websocket.PreparedMessage) {
	if !h.channels[channel][queue] {
		return
	}
	delete(h.channels[channel], queue)
	close(queue)
	if len(h.channels[channel]) == 0 {
		delete(h.channels, channel)
		h.redis.Unsubscribe(channel)
	}
}

func (h *hub) fanOut() {
	for {
		switch message := h.redis.Receive().(type) {
		case redis.Message:
			prepared, _ := websocket.NewPreparedMessage(websocket.TextMessage, message.Data)
			h.Lock()
			for queue := range h.channels[message.Channel] {
				select {
				case queue <- prepared:
				default: // Too slow: as in its example of a chat, it is disconnected.
					h.leave(message.Channel, queue)
				}
			}
			h.Unlock()
		case error:
			log.Fatal(message)
		}
	}
}
