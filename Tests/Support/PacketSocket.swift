import CTestLinux
import Foundation

/// Whole Ethernet frames out of and into one interface, beside whatever else uses it.
public final class PacketSocket: Sendable {
    private let file: Int32

    /// - `receive`: false for a socket that only sends, which costs the receiving path nothing.
    /// - `ignoreOutgoing`: do not receive what this machine sends through the interface.
    public init(
        _ interface: String, in namespace: NetworkNamespace, receive: Bool = true, ignoreOutgoing: Bool = false
    ) throws {
        let result = try namespace.perform {
            sluice_test_open_packet_socket(interface, receive ? 1 : 0, ignoreOutgoing ? 1 : 0)
        }
        guard result >= 0 else {
            throw CommandFailure(
                arguments: ["packet socket", interface], reason: String(cString: strerror(-result)), output: "")
        }
        file = result
    }

    deinit { close(file) }

    /// Sends one frame; false when the interface refuses it (too short, too long, queue full).
    @discardableResult
    public func send(_ frame: [UInt8]) -> Bool { Foundation.send(file, frame, frame.count, 0) == frame.count }

    /// Waits for the next frame; nil when none came.
    public func receive(within limit: Duration = .seconds(5)) -> [UInt8]? {
        var timeout = limit.asTimeval
        setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var buffer = [UInt8](repeating: 0, count: 65536)
        let length = recv(file, &buffer, buffer.count, 0)
        return length > 0 ? Array(buffer[..<length]) : nil
    }

    /// Sends `count` frames as fast as it goes. `fill` writes frame number `n` into the buffer and returns its length,
    /// at most `maximumLength`. Pauses for a moment now and then, so that a receiver on the same cores gets its turn.
    /// Returns how many went; the kernel refuses what is no Ethernet frame at all.
    public func sendMany(
        _ count: Int, maximumLength: Int = 2048, pauseEvery: Int = 1024,
        _ fill: (Int, UnsafeMutableBufferPointer<UInt8>) -> Int
    ) -> Int {
        let batch = 64
        let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: batch * maximumLength)
        let lengths = UnsafeMutableBufferPointer<UInt32>.allocate(capacity: batch)
        defer {
            buffer.deallocate()
            lengths.deallocate()
        }
        var accepted = 0
        var number = 0
        while number < count {
            let size = min(batch, count - number)
            for slot in 0..<size {
                let frame = UnsafeMutableBufferPointer(
                    rebasing: buffer[slot * maximumLength..<(slot + 1) * maximumLength])
                lengths[slot] = UInt32(fill(number + slot, frame))
            }
            accepted += send(buffer, lengths, size: size, stride: maximumLength)
            number += size
            if number % pauseEvery < batch { usleep(500) }
        }
        return accepted
    }

    private func send(
        _ buffer: UnsafeMutableBufferPointer<UInt8>, _ lengths: UnsafeMutableBufferPointer<UInt32>, size: Int,
        stride: Int
    ) -> Int {
        guard let frames = buffer.baseAddress, let lengths = lengths.baseAddress else { return 0 }
        var position = 0
        var accepted = 0
        while position < size {
            let sent = sluice_test_send_frames(
                file, frames + position * stride, UInt32(stride), lengths + position, UInt32(size - position))
            // A refused frame is passed over: it is one that no interface would carry, or the queue was full.
            position += sent > 0 ? Int(sent) : 1
            accepted += sent > 0 ? Int(sent) : 0
        }
        return accepted
    }
}
