import Packets
import Platform

/// Reason why a command could not be carried out over the control socket.
package enum VICIClientError: OperatorError, Hashable, Sendable {
    case cannotConnect(String, errno: Int32)
    case socket(ControlSocketError)
    case disconnected
    case timedOut(seconds: Int)
    case protocolViolation(String)
    case unknownCommand(String)
    case unknownEvent(String)
    case refused(String)

    package var problem: Problem {
        switch self {
        case .cannotConnect(let path, let errno):
            Problem(
                "cannot reach sluice at \(path): \(Errno(rawValue: errno))", remedy: Self.remedy(errno))
        case .socket(let error): error.problem
        case .disconnected: Problem("sluice closed the control connection")
        case .timedOut(let seconds): Problem("sluice did not answer within \(seconds) seconds")
        case .protocolViolation(let what): Problem("unexpected answer of sluice: \(what)")
        case .unknownCommand(let name): Problem("unknown command '\(name)'", remedy: "is this sluice an older version?")
        case .unknownEvent(let name): Problem("unknown event '\(name)'", remedy: "is this sluice an older version?")
        case .refused(let reason): Problem(reason)
        }
    }

    private static func remedy(_ errno: Int32) -> String {
        switch Errno(rawValue: errno) {
        case .permissionDenied, .notPermitted: "run as root, or as a member of the socket's group"
        case .noSuchFileOrDirectory, .connectionRefused: "is `sluice run` running, with the same --control?"
        default: "look at its log"
        }
    }
}

/// A blocking client of the control protocol, for subcommands and tests.
package struct VICIClient: ~Copyable {
    private let socket: Socket
    private let timeoutInSeconds: Int

    /// Connects to the socket at `path`; every later wait ends after `timeoutInSeconds`.
    package init(path: String, timeoutInSeconds: Int = 10) throws(VICIClientError) {
        socket = try Self.open(path, timeoutInSeconds)
        self.timeoutInSeconds = timeoutInSeconds
    }

    private static func open(_ path: String, _ timeoutInSeconds: Int) throws(VICIClientError) -> Socket {
        let address: KernelAddress
        do { address = try ControlSocket.address(path) } catch { throw .socket(error) }
        do throws(Errno) {
            let socket = try Socket(.localStream)
            try? socket.setReceiveTimeout(seconds: timeoutInSeconds)
            try? socket.setSendTimeout(seconds: timeoutInSeconds)
            try socket.connect(to: address)
            return socket
        } catch {
            throw VICIClientError.cannotConnect(path, errno: error.rawValue)
        }
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
            do throws(Errno) { sent += try socket.send(Array(bytes[sent...])) } catch { throw failure(error) }
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
            let received: Int
            do throws(Errno) { received = try socket.receive(into: &bytes, from: filled) } catch {
                throw failure(error)
            }
            guard received > 0 else { throw .disconnected }
            filled += received
        }
        return bytes
    }

    private func failure(_ reason: Errno) -> VICIClientError {
        reason == .wouldBlock ? .timedOut(seconds: timeoutInSeconds) : .disconnected
    }
}
