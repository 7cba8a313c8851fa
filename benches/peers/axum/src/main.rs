//! tokio, axum and redis: what one writes first, a broadcast channel for each channel of Redis.

use std::collections::HashMap;
use std::env::var;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::any;
use futures_util::StreamExt;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tokio::sync::{broadcast, mpsc};

#[derive(Clone)]
struct App {
    rooms: Arc<Mutex<HashMap<String, broadcast::Sender<Utf8Bytes>>>>,
    subscribe: mpsc::UnboundedSender<String>,
    redis: MultiplexedConnection,
}

#[tokio::main]
async fn main() {
    let client =
        redis::Client::open(format!("redis://127.0.0.1:{}", var("REDIS_PORT").unwrap())).unwrap();
    let (mut sink, mut stream) = client.get_async_pubsub().await.unwrap().split();
    let (subscribe, mut wanted) = mpsc::unbounded_channel::<String>();
    let redis = client.get_multiplexed_async_connection().await.unwrap();
    let app = App {
        rooms: Arc::default(),
        subscribe,
        redis,
    };
    tokio::spawn(async move {
        while let Some(channel) = wanted.recv().await {
            sink.subscribe(channel).await.unwrap();
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
        .unwrap();
    axum::serve(listener, router).await.unwrap();
}

async fn upgrade(
    ws: WebSocketUpgrade,
    Path(facility): Path<String>,
    State(app): State<App>,
) -> Response {
    ws.on_upgrade(move |socket| serve(socket, format!("broadcast:{facility}"), app))
}

async fn serve(mut socket: WebSocket, channel: String, mut app: App) {
    let mut messages = app
        .rooms
        .lock()
        .unwrap()
        .entry(channel.clone())
        .or_insert_with(|| {
            app.subscribe.send(channel.clone()).unwrap();
            broadcast::channel(256).0
        })
        .subscribe();
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(text) => if socket.send(Message::Text(text)).await.is_err() { return },
                Err(_) => return,
            },
            received = socket.recv() => match received {
                Some(Ok(Message::Text(text))) => { let _: Result<i64, _> = app.redis.publish(&channel, text.as_str()).await; }
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}
