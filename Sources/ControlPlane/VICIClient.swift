import Glibc

/// Why a command could not be carried out over the control socket.
package enum VICIClientError: Error, Hashable, Sendable, CustomStringConvertible {
    case cannotConnect(String, errno: Int32)
    case socket(ControlSocketError)
    case disconnected
    case timedOut(seconds: Int)
    case protocolViolation(String)
    case unknownCommand(String)
    case unknownEvent(String)
    case refused(String)

    package var description: String {
        switch self {
        case .cannotConnect(let path, let errno):
            "cannot reach sluice at \(path): \(String(cString: strerror(errno))); \(Self.remedy(errno))"
        case .socket(let error): "\(error)"
        case .disconnected: "sluice closed the control connection"
        case .timedOut(let seconds): "sluice did not answer within \(seconds) seconds"
        case .protocolViolation(let what): "sluice answered with something unexpected: \(what)"
        case .unknownCommand(let name): "this sluice does not know the command \(name); is it an older version?"
        case .unknownEvent(let name): "this sluice does not know the event \(name); is it an older version?"
        case .refused(let reason): reason
        }
    }

    private static func remedy(_ errno: Int32) -> String {
        switch errno {
        case EACCES, EPERM: "run as root, or as a member of the socket's group"
        case ENOENT, ECONNREFUSED: "is `sluice run` running, with the same --control?"
        default: "look at its log"
        }
    }
}

/// A blocking client of the control protocol, for subcommands and tests.
package struct VICIClient: ~Copyable {
    private let descriptor: Int32
    private let timeoutInSeconds: Int

    /// Connects to the socket at `path`; every later wait ends after `timeoutInSeconds`.
    package init(path: String, timeoutInSeconds: Int = 10) throws(VICIClientError) {
        descriptor = try Self.open(path, timeoutInSeconds)
        self.timeoutInSeconds = timeoutInSeconds
    }

    private static func open(_ path: String, _ timeoutInSeconds: Int) throws(VICIClientError) -> Int32 {
        let address: UnixAddress
        do { address = try UnixAddress(path) } catch { throw .socket(error) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .cannotConnect(path, errno: errno) }
        var timeout = timeval(tv_sec: timeoutInSeconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, size)
        guard address.with({ connect(descriptor, $0, $1) }) == 0 else {
            let failure = errno
            close(descriptor)
            throw .cannotConnect(path, errno: failure)
        }
        return descriptor
    }

    deinit {
        close(descriptor)
    }

    /// Sends a command and waits for its answer. Events that arrive before it go to `onEvent`.
    package func request(
        _ command: String, _ message: VICIMessage = [:], onEvent: (String, VICIMessage) -> Void = { _, _ in }
    ) throws(VICIClientError) -> VICIMessage {
        try send(.commandRequest(command, message))
        while true {
            switch try receive() {
            case .event(let name, let message): onEvent(name, message)
            case .commandResponse(let response):
                if response["success"] == "no" { throw .refused(response["errmsg"] ?? "\(command) failed") }
                return response
            case .commandUnknown: throw .unknownCommand(command)
            default: throw .protocolViolation("an answer to no request")
            }
        }
    }

    /// Asks for an event, before a command that streams it.
    package func register(_ event: String) throws(VICIClientError) {
        try send(.eventRegister(event))
        switch try receive() {
        case .eventConfirm: return
        case .eventUnknown: throw .unknownEvent(event)
        default: throw .protocolViolation("no confirmation of the event \(event)")
        }
    }

    private func send(_ packet: VICIPacket) throws(VICIClientError) {
        let bytes: [UInt8]
        do { bytes = try packet.encoded() } catch { throw .protocolViolation("\(error)") }
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                Glibc.send(
                    descriptor, raw.baseAddress.map { $0 + sent }, raw.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count > 0 { sent += count } else if errno != EINTR { throw failure() }
        }
    }

    private func receive() throws(VICIClientError) -> VICIPacket {
        let header = try read(VICILimits.lengthFieldBytes)
        let length = header.reduce(0) { $0 << 8 | Int($1) }
        guard length <= VICILimits.maximumPacketBytes else { throw .protocolViolation("a packet of \(length) bytes") }
        let body = try read(length)
        do { return try VICIPacket(decoding: body) } catch { throw .protocolViolation("\(error)") }
    }

    private func read(_ count: Int) throws(VICIClientError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let received = bytes.withUnsafeMutableBytes { raw in
                recv(descriptor, raw.baseAddress.map { $0 + filled }, raw.count - filled, 0)
            }
            if received > 0 {
                filled += received
            } else if received == 0 {
                throw .disconnected
            } else if errno != EINTR {
                throw failure()
            }
        }
        return bytes
    }

    private func failure() -> VICIClientError {
        errno == EAGAIN || errno == EWOULDBLOCK ? .timedOut(seconds: timeoutInSeconds) : .disconnected
    }
}
