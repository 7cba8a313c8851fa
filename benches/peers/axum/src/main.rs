//! tokio, axum and redis: what one writes first, a broadcast channel for each channel of Redis.

use std::collections::HashMap;
use std::env::var;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::any;
use axum::serve::ListenerExt;
use futures_util::StreamExt;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tokio::sync::{broadcast, mpsc};

#[derive(Clone)]
struct App {
    rooms: Arc<Mutex<HashMap<String, broadcast::Sender<Utf8Bytes>>>>,
    subscriptions: mpsc::UnboundedSender<Wish>,
    redis: MultiplexedConnection,
}

enum Wish {
    Subscribe(String),
    Unsubscribe(String),
}

// One core: a single thread has nobody to wake up.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let client =
        redis::Client::open(format!("redis://127.0.0.1:{}", var("REDIS_PORT").unwrap())).unwrap();
    let (mut sink, mut stream) = client.get_async_pubsub().await.unwrap().split();
    let (subscriptions, mut wanted) = mpsc::unbounded_channel();
    let redis = client.get_multiplexed_async_connection().await.unwrap();
    let app = App {
        rooms: Arc::default(),
        subscriptions,
        redis,
    };
    tokio::spawn(async move {
        while let Some(wish) = wanted.recv().await {
            match wish {
                Wish::Subscribe(channel) => sink.subscribe(channel).await.unwrap(),
                Wish::Unsubscribe(channel) => sink.unsubscribe(channel).await.unwrap(),
            }
        }
    });
    let rooms = app.rooms.clone();
    tokio::spawn(async move {
        while let Some(message) = stream.next().await {
            if let Some(room) = rooms.lock().unwrap().get(message.get_channel_name()) {
                let _ = room.send(message.get_payload::<String>().unwrap().into());
            }
        }
    });
    let router = Router::new()
        .route("/ws/{facility}", any(upgrade))
        .with_state(app);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", var("PORT").unwrap()))
        .await
        .unwrap()
        // As its documentation has it: otherwise a message waits until the one before is acknowledged.
        .tap_io(|stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, router).await.unwrap();
}

async fn upgrade(
    ws: WebSocketUpgrade,
    Path(facility): Path<String>,
    State(app): State<App>,
) -> Response {
    // Of 128 KiB otherwise, for each client.
    ws.read_buffer_size(4 << 10)
        .on_upgrade(move |socket| serve(socket, format!("broadcast:{facility}"), app))
}

async fn serve(mut socket: WebSocket, channel: String, app: App) {
    let mut messages = app.enter(&channel);
    let mut redis = app.redis.clone();
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(text) => if socket.send(Message::Text(text)).await.is_err() { break },
                Err(_) => break,
            },
            received = socket.recv() => match received {
                Some(Ok(Message::Text(text))) => { let _: Result<i64, _> = redis.publish(&channel, text.as_str()).await; }
                Some(Ok(_)) => {}
                _ => break,
            },
        }
    }
    drop(messages);
    app.leave(&channel);
}

impl App {
    fn enter(&self, channel: &str) -> broadcast::Receiver<Utf8Bytes> {
        let mut rooms = self.rooms.lock().unwrap();
        let room = rooms.entry(channel.to_owned()).or_insert_with(|| {
            let _ = self.subscriptions.send(Wish::Subscribe(channel.to_owned()));
            broadcast::channel(256).0
        });
        room.subscribe()
    }

    fn leave(&self, channel: &str) {
        let mut rooms = self.rooms.lock().unwrap();
        if rooms
            .get(channel)
            .is_some_and(|room| room.receiver_count() == 0)
        {
            rooms.remove(channel);
            let _ = self
                .subscriptions
                .send(Wish::Unsubscribe(channel.to_owned()));
        }
    }
}
