import Foundation

/// Sends ICMP echo requests of any size and checks that what returns is what was sent.
public final class EchoClient {
    public enum Outcome: Equatable, Sendable {
        case reply
        /// The kernel here already knows that the path is narrower.
        case tooBig
        case lost
    }

    private let file: Int32
    private let version: IPVersion
    private let identifier = UInt16.random(in: 1...UInt16.max)
    private var sequence: UInt16 = 0

    /// - `dontFragment`: IPv4 only: set DF and let nobody fragment. IPv6 routers never fragment.
    public init(from namespace: NetworkNamespace, to destination: String, _ version: IPVersion, dontFragment: Bool)
        throws
    {
        self.version = version
        file = try namespace.perform {
            let file =
                version == .ipv4
                ? openSocket(AF_INET, Int32(SOCK_RAW.rawValue), Int32(IPPROTO_ICMP))
                : openSocket(AF_INET6, Int32(SOCK_RAW.rawValue), 58)
            guard file >= 0 else { throw SocketFailure("raw socket") }
            return file
        }
        // 0: never set DF, 2: always set it (ip(7), ipv6(7)).
        var discovery: Int32 = dontFragment ? 2 : 0
        if version == .ipv4 {
            setsockopt(file, Int32(IPPROTO_IP), IP_MTU_DISCOVER, &discovery, socklen_t(MemoryLayout<Int32>.size))
        }
        try SocketAddress(destination, port: 0, version).withPointer { address, length in
            guard connect(file, address, length) == 0 else { throw SocketFailure("connect to \(destination)") }
        }
    }

    deinit { close(file) }

    /// One echo with a payload of `size` bytes. Tries again when nothing returns, as a first packet may wait for ARP and
    /// a path may have to be learned.
    public func echo(payload size: Int, attempts: Int = 4, within limit: Duration = .seconds(2)) -> Outcome {
        for _ in 0..<attempts {
            sequence &+= 1
            let request = message(type: version == .ipv4 ? 8 : 128, size: size)
            if send(file, request, request.count, 0) < 0 {
                if errno == EMSGSIZE { return .tooBig }
                Thread.sleep(forTimeInterval: 0.05)
                continue
            }
            if awaitReply(to: request, within: limit) { return .reply }
        }
        return .lost
    }

    private func awaitReply(to request: [UInt8], within limit: Duration) -> Bool {
        let deadline = ContinuousClock.now + limit
        var buffer = [UInt8](repeating: 0, count: 65536)
        while ContinuousClock.now < deadline {
            var timeout = max(deadline - ContinuousClock.now, .milliseconds(1)).asTimeval
            setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
            let length = recv(file, &buffer, buffer.count, 0)
            if length < 0 { continue }
            // A raw IPv4 socket delivers the IP header too.
            let start = version == .ipv4 ? Int(buffer[0] & 15) * 4 : 0
            guard length - start == request.count, buffer[start] == (version == .ipv4 ? 0 : 129) else { continue }
            // Type and checksum differ between request and reply; everything behind must be equal.
            if buffer[(start + 4)..<length] == request[4...] { return true }
        }
        return false
    }

    /// The message; its bytes depend on size and sequence so that a mix-up shows. The kernel fills an ICMPv6 checksum.
    private func message(type: UInt8, size: Int) -> [UInt8] {
        var bytes: [UInt8] = [type, 0, 0, 0]
        bytes += [UInt8(identifier >> 8), UInt8(identifier & 255), UInt8(sequence >> 8), UInt8(sequence & 255)]
        bytes.reserveCapacity(8 + size)
        let seed = UInt8(truncatingIfNeeded: size) &+ UInt8(truncatingIfNeeded: sequence)
        for position in 0..<size { bytes.append(seed &+ UInt8(truncatingIfNeeded: position &* 7)) }
        if version == .ipv4 {
            var sum: UInt32 = 0
            for position in stride(from: 0, to: bytes.count, by: 2) {
                sum += UInt32(bytes[position]) << 8 + (position + 1 < bytes.count ? UInt32(bytes[position + 1]) : 0)
            }
            while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
            bytes[2] = UInt8(~sum >> 8 & 255)
            bytes[3] = UInt8(~sum & 255)
        }
        return bytes
    }
}
