import Foundation
import Synchronization

/// Numbered datagrams at a steady rate, of which the other end counts each: what a tunnel loses, doubles or reorders shows.
public final class CountedLoad: Sendable {
    /// What became of the datagrams of one direction.
    public struct Count: Sendable, Equatable, CustomStringConvertible {
        public var sent = 0
        public var received = 0
        public var doubled = 0
        /// Numbers that never arrived, the first hundred.
        public var missing: [Int] = []

        public var lost: Int { sent - received }
        public var description: String {
            "\(sent) sent, \(received) received, \(doubled) doubled, missing: \(missing.prefix(20))"
        }
    }

    private struct State {
        var stopped = false
        var drained = false
        var sent = 0
        var arrived: [UInt8] = []
    }

    /// How late a datagram may be, and the next one still on time.
    private static let longestDelay = Duration.milliseconds(20)

    private let sender: Int32
    private let receiver: Int32
    private let state = Mutex(State())
    private let sending = DispatchSemaphore(value: 0)
    private let receiving = DispatchSemaphore(value: 0)

    /// Starts to send from one host to another, `rate` datagrams of `size` bytes a second.
    public init(
        from source: NetworkNamespace, to target: NetworkNamespace, address: String, _ version: IPVersion = .ipv4,
        port: UInt16 = 9_000, rate: Int, size: Int = 200
    ) throws {
        let family = version == .ipv4 ? AF_INET : AF_INET6
        let kind = Int32(SOCK_DGRAM.rawValue)
        sender = try source.perform { openSocket(family, kind, 0) }
        receiver = try target.perform { openSocket(family, kind, 0) }
        guard sender >= 0, receiver >= 0 else { throw SocketFailure("socket") }
        var buffer: Int32 = 16 << 20
        // SO_RCVBUFFORCE (socket(7)): a receiver that waits for a busy machine must not be what loses datagrams.
        setsockopt(receiver, SOL_SOCKET, 33, &buffer, socklen_t(MemoryLayout<Int32>.size))
        var timeout = Duration.milliseconds(100).asTimeval
        setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let goal = try SocketAddress(address, port: port, version)
        guard goal.withPointer({ bind(receiver, $0, $1) }) == 0 else { throw SocketFailure("bind to \(address)") }
        guard goal.withPointer({ connect(sender, $0, $1) }) == 0 else { throw SocketFailure("connect to \(address)") }
        Thread { [self] in receive(size: size) }.start()
        Thread { [self] in send(rate: rate, size: size) }.start()
    }

    /// How many were sent so far.
    public var sent: Int { state.withLock { $0.sent } }

    /// Stops sending, waits for what is on its way, and tells what became of everything. To be called once.
    public func stop() -> Count {
        state.withLock { $0.stopped = true }
        sending.wait()
        // What is still on its way arrives within this time, or it is lost.
        Thread.sleep(forTimeInterval: 1)
        state.withLock { $0.drained = true }
        receiving.wait()
        close(sender)
        close(receiver)
        return state.withLock { state in
            let arrived =
                state.arrived.prefix(state.sent) + Array(repeating: 0, count: max(0, state.sent - state.arrived.count))
            return Count(
                sent: state.sent, received: arrived.count { $0 > 0 }, doubled: arrived.count { $0 > 1 },
                missing: Array(arrived.enumerated().filter { $0.element == 0 }.map(\.offset).prefix(100)))
        }
    }

    private func send(rate: Int, size: Int) {
        let clock = ContinuousClock()
        var start = clock.now
        var payload = [UInt8](repeating: 0x5a, count: max(size, 4))
        var number = 0
        while !state.withLock({ $0.stopped }) {
            let due = start + .nanoseconds(number * 1_000_000_000 / rate)
            let pause = due - clock.now
            // Who did not get its turn does not make up for it by a burst: that would be another load.
            if .zero - pause > Self.longestDelay { start -= pause }
            if pause > .zero {
                usleep(
                    UInt32(pause.components.attoseconds / 1_000_000_000_000) + UInt32(pause.components.seconds)
                        * 1_000_000)
            }
            withUnsafeBytes(of: UInt32(truncatingIfNeeded: number).bigEndian) {
                payload.replaceSubrange(0..<4, with: $0)
            }
            // A host that has not resolved its router yet may refuse; that datagram does not count.
            guard Foundation.send(sender, payload, payload.count, Int32(MSG_NOSIGNAL)) == payload.count else {
                continue
            }
            number += 1
            state.withLock { $0.sent = number }
        }
        sending.signal()
    }

    private func receive(size: Int) {
        var buffer = [UInt8](repeating: 0, count: 2_048)
        while true {
            let length = recv(receiver, &buffer, buffer.count, 0)
            if length < 4 {
                if state.withLock({ $0.drained }) { break }
                continue
            }
            let number = buffer[0..<4].reduce(0) { $0 << 8 | Int($1) }
            state.withLock { state in
                if number >= state.arrived.count {
                    state.arrived += Array(repeating: 0, count: number + 4_096 - state.arrived.count)
                }
                if state.arrived[number] < 255 { state.arrived[number] += 1 }
            }
        }
        receiving.signal()
    }
}
