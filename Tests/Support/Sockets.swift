import Foundation

/// A system call on a socket that failed.
public struct SocketFailure: Error, CustomStringConvertible {
    public let description: String
    init(_ what: String) { description = "\(what): \(String(cString: strerror(errno)))" }
}

/// Opens a socket that programs started later do not inherit; negative when that fails.
func openSocket(_ family: Int32, _ kind: Int32, _ number: Int32) -> Int32 {
    let file = socket(family, kind, number)
    if file >= 0 { _ = fcntl(file, F_SETFD, FD_CLOEXEC) }
    return file
}

/// An address and port in the operating system's form.
struct SocketAddress {
    private var storage = sockaddr_storage()
    private let length: socklen_t

    init(_ text: String, port: UInt16, _ version: IPVersion) throws {
        var four = sockaddr_in()
        var six = sockaddr_in6()
        let parsed: Int32
        switch version {
        case .ipv4:
            four.sin_family = sa_family_t(AF_INET)
            four.sin_port = port.bigEndian
            parsed = inet_pton(AF_INET, text, &four.sin_addr)
            length = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: four, as: sockaddr_in.self) }
        case .ipv6:
            six.sin6_family = sa_family_t(AF_INET6)
            six.sin6_port = port.bigEndian
            parsed = inet_pton(AF_INET6, text, &six.sin6_addr)
            length = socklen_t(MemoryLayout<sockaddr_in6>.size)
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: six, as: sockaddr_in6.self) }
        }
        guard parsed == 1 else { throw NeverHappened(description: "\(text) is no \(version) address") }
    }

    func withPointer<T>(_ body: (UnsafePointer<sockaddr>, socklen_t) throws -> T) rethrows -> T {
        try withUnsafeBytes(of: storage) { bytes in
            guard let base = bytes.baseAddress else { preconditionFailure("an address has bytes") }
            return try body(base.assumingMemoryBound(to: sockaddr.self), length)
        }
    }
}

/// A TCP connection that moves a file from one host to another.
public enum Transfer {
    /// Sends `count` random bytes over one TCP connection and compares what arrives, byte by byte.
    ///
    /// - Returns: nil when the same bytes arrived, in order and complete; else what was wrong.
    public static func run(
        bytes count: Int, from sender: NetworkNamespace, to receiver: NetworkNamespace, address: String,
        _ version: IPVersion, port: UInt16 = 7001, within limit: Duration = .seconds(60)
    ) throws -> String? {
        let data = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            var generator = SystemRandomNumberGenerator()
            let words = UnsafeMutableRawBufferPointer(buffer)
            for offset in stride(from: 0, to: count & ~7, by: 8) {
                words.storeBytes(of: generator.next(), toByteOffset: offset, as: UInt64.self)
            }
            for offset in (count & ~7)..<count { buffer[offset] = UInt8(truncatingIfNeeded: offset) }
            initialized = count
        }
        let family = version == .ipv4 ? AF_INET : AF_INET6
        let kind = Int32(SOCK_STREAM.rawValue)
        let listener = try receiver.perform { openSocket(family, kind, 0) }
        let client = try sender.perform { openSocket(family, kind, 0) }
        defer {
            close(listener)
            close(client)
        }
        guard listener >= 0, client >= 0 else { throw SocketFailure("socket") }
        for file in [listener, client] { setTimeouts(file, limit) }
        var one: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        let target = try SocketAddress(address, port: port, version)
        guard target.withPointer({ bind(listener, $0, $1) }) == 0 else { throw SocketFailure("bind to \(address)") }
        guard listen(listener, 1) == 0 else { throw SocketFailure("listen") }
        guard target.withPointer({ connect(client, $0, $1) }) == 0 else { throw SocketFailure("connect to \(address)") }
        let server = accept(listener, nil, nil)
        guard server >= 0 else { throw SocketFailure("accept") }
        defer { close(server) }
        setTimeouts(server, limit)
        return try sendAndCompare(data, client: client, server: server)
    }

    private static func sendAndCompare(_ data: [UInt8], client: Int32, server: Int32) throws -> String? {
        let finished = DispatchSemaphore(value: 0)
        let sender = Thread {
            defer { finished.signal() }
            var position = 0
            while position < data.count {
                let sent = data.withUnsafeBytes { buffer in
                    Foundation.send(
                        client, buffer.baseAddress?.advanced(by: position), data.count - position, Int32(MSG_NOSIGNAL))
                }
                if sent <= 0 { break }
                position += sent
            }
            shutdown(client, Int32(SHUT_WR))
        }
        sender.start()
        defer {
            // Nobody may close the descriptor while the thread still writes to it.
            shutdown(server, Int32(SHUT_RDWR))
            shutdown(client, Int32(SHUT_RDWR))
            finished.wait()
        }
        var received = [UInt8]()
        received.reserveCapacity(data.count)
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let length = recv(server, &buffer, buffer.count, 0)
            if length < 0 { throw SocketFailure("receive after \(received.count) of \(data.count) bytes") }
            if length == 0 { break }
            received += buffer[..<length]
        }
        if received == data { return nil }
        let difference = zip(received, data).enumerated().first { $1.0 != $1.1 }?.offset
        return "\(received.count) of \(data.count) bytes arrived, "
            + (difference.map { "the first wrong one at \($0)" } ?? "none of them wrong")
    }

    private static func setTimeouts(_ file: Int32, _ limit: Duration) {
        var timeout = limit.asTimeval
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(file, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
        }
    }
}
