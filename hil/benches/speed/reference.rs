//! The bare reference: the least that a gateway can do. It takes a frame, appends it to one file,
//! syncs whatever waited as one group, acknowledges, and forwards over one connection to a sink
//! that acknowledges. It parses nothing, checks nothing, and keeps what waits for the sink in
//! memory.
//!
//! It runs as a process of its own, as the gateway does, one thread per connection.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};

const END: [u8; 2] = [0x1c, 0x0d];

/// The reference as a child process.
pub struct Reference {
    child: Child,
    pub address: SocketAddr,
    _input: ChildStdin,
}

impl Reference {
    pub fn start(folder: &Path) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--as-reference")
            .arg(folder.join("reference"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse().map_err(io::Error::other)?;
        Ok(Self { child, address, _input: input })
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Vec<(Vec<u8>, TcpStream)>>,
    changed: Condvar,
}

/// The child's side. Ends with its standard input.
pub fn serve(path: &Path) -> io::Result<()> {
    let sink = start_sink()?;
    let (forward, forwarded) = mpsc::channel::<Vec<u8>>();
    std::thread::spawn(move || deliver(sink, &forwarded));
    let queue = Arc::new(Queue::default());
    let file = File::create(path)?;
    let committer = Arc::clone(&queue);
    std::thread::spawn(move || commit(&committer, file, &forward));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || take_frames(&queue, stream));
        }
    });
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}

fn take_frames(queue: &Queue, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    let mut frame = Vec::new();
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        frame.extend_from_slice(&buffer[..count]);
        if frame.ends_with(&END) {
            let answer_to = stream.try_clone()?;
            let mut waiting = queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push((std::mem::take(&mut frame), answer_to));
            drop(waiting);
            queue.changed.notify_one();
        }
    }
}

fn commit(queue: &Queue, mut file: File, forward: &mpsc::Sender<Vec<u8>>) {
    loop {
        let waiting = queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = queue.changed.wait_while(waiting, |waiting| waiting.is_empty());
        let group = std::mem::take(&mut *waiting.unwrap_or_else(PoisonError::into_inner));
        let mut bytes = Vec::new();
        group.iter().for_each(|(frame, _)| bytes.extend_from_slice(frame));
        file.write_all(&bytes).and_then(|()| file.sync_data()).expect("the disk takes it");
        for (frame, mut stream) in group {
            // Who has gone meanwhile needs no answer.
            let _ = stream.write_all(&answer(&frame));
            let _ = forward.send(frame);
        }
    }
}

/// The only look into a message: its control id is the tenth field.
fn answer(frame: &[u8]) -> Vec<u8> {
    let id = frame.split(|byte| *byte == b'|').nth(9).unwrap_or_default();
    [b"\x0bMSH|^~\\&|REF|||||ACK||P|2.6\rMSA|AA|".as_slice(), id, b"\r\x1c\x0d"].concat()
}

fn deliver(sink: SocketAddr, frames: &mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let mut stream = TcpStream::connect(sink)?;
    stream.set_nodelay(true)?;
    let mut buffer = [0; 1024];
    while let Ok(frame) = frames.recv() {
        stream.write_all(&frame)?;
        let mut last = [0; 2];
        while last != END {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            if let Some(two) = buffer[..count].last_chunk() {
                last = *two;
            }
        }
    }
    Ok(())
}

fn start_sink() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let (mut buffer, mut frame) = ([0; 4096], Vec::new());
        loop {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            frame.extend_from_slice(&buffer[..count]);
            if frame.ends_with(&END) {
                stream.write_all(&answer(&frame))?;
                frame.clear();
            }
        }
    });
    Ok(address)
}
