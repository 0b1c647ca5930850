import IKEv2
import Logging
import NIOCore
import NIOPosix
import Packets
import Platform

/// The file that says which tunnels are up, so that they come up again when the gateway is started anew: names of connections
/// and children, addresses of peers, no keys. It is only help: one that cannot be read is as good as none.
final class TunnelFile {
    private let path: String
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var isBeingWritten = false
    private var hasFailed = false

    /// A tunnel takes two names; what is longer than this was not written by us.
    private static let longest = 16 << 20

    init(directory: String, eventLoop: any EventLoop, logger: Logger) {
        path = directory + "/tunnels"
        self.eventLoop = eventLoop
        self.logger = logger
    }

    /// The tunnels that were up when the last gateway ended; none when that is not known.
    func read() -> [RememberedTunnel] {
        do throws(FileFailure) {
            guard let text = try Self.content(path) else { return [] }
            guard let tunnels = TunnelText.decode(text) else {
                throw FileFailure(description: "it is not what this version writes")
            }
            return tunnels
        } catch {
            logger.warning(
                "which tunnels were up is not known: the file is ignored, and written anew",
                metadata: ["file": "\(path)", "reason": "\(error.description)"])
            return []
        }
    }

    /// Writes on another thread. False: the last ones are still being written; try again.
    func write(_ tunnels: Set<RememberedTunnel>) -> Bool {
        guard !isBeingWritten else { return false }
        isBeingWritten = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) { [path] () -> FileFailure? in
            do throws(FileFailure) {
                try Self.replace(path, by: TunnelText.encode(tunnels))
                return nil
            } catch {
                return error
            }
        }.whenComplete { result in bound.value.written(try? result.get()) }
        return true
    }

    private func written(_ failure: FileFailure??) {
        isBeingWritten = false
        guard case .some(.some(let failure)) = failure else { return hasFailed = false }
        if !hasFailed {
            logger.warning(
                "which tunnels are up is not kept for the next start: give --state a directory that can be written to",
                metadata: ["file": "\(path)", "error": "\(failure.description)"])
        }
        hasFailed = true
    }

    // MARK: - The file

    private struct FileFailure: Error, Sendable {
        let description: String
    }

    /// The contents of the file; nil: there is none.
    private static func content(_ path: String) throws(FileFailure) -> [UInt8]? {
        do throws(Errno) {
            let bytes = try Files.content(of: path, longest: longest, followsLinks: false)
            if bytes.count <= longest { return bytes }
        } catch {
            if error == .noSuchFileOrDirectory { return nil }
            throw FileFailure(description: "\(error)")
        }
        throw FileFailure(description: "it is too long")
    }

    /// The file has the old content or the new one, whatever happens meanwhile.
    private static func replace(_ path: String, by bytes: [UInt8]) throws(FileFailure) {
        do { try Files.replace(path, by: bytes) } catch { throw FileFailure(description: "\(error)") }
    }
}

/// The text form of tunnels: a first line that names the format, then a line for each, its fields separated by tabs.
///
///     sluice tunnels 1
///     right<TAB>lan<TAB>-
///     branches<TAB>lan<TAB>192.0.2.7<TAB>4500
///
/// Of names only visible ASCII stands for itself; other bytes are written as %XX.
enum TunnelText {
    private static let title = "sluice tunnels 1"
    private static let mostLines = 65_536

    static func encode(_ tunnels: Set<RememberedTunnel>) -> [UInt8] {
        let lines = tunnels.map { tunnel in
            let place = tunnel.peer.map { "\($0.address)\t\($0.port)" } ?? "-"
            return "\(escape(tunnel.connection))\t\(escape(tunnel.child))\t\(place)"
        }
        return Array((([title] + lines.sorted()).joined(separator: "\n") + "\n").utf8)
    }

    /// The tunnels of a text; nil: it was not written by `encode`.
    static func decode(_ bytes: [UInt8]) -> [RememberedTunnel]? {
        guard bytes.last == UInt8(ascii: "\n") else { return nil }
        let lines = bytes.dropLast().split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard lines.first.map({ $0.elementsEqual(title.utf8) }) == true, lines.count - 1 <= mostLines else {
            return nil
        }
        var tunnels: [RememberedTunnel] = []
        for line in lines.dropFirst() {
            guard let tunnel = tunnel(line) else { return nil }
            tunnels.append(tunnel)
        }
        return tunnels
    }

    private static func tunnel(_ line: ArraySlice<UInt8>) -> RememberedTunnel? {
        let fields = line.split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
        guard fields.count >= 3, let connection = unescape(fields[0]), let child = unescape(fields[1]),
            !connection.isEmpty, !child.isEmpty
        else { return nil }
        if fields.count == 3 {
            return fields[2].elementsEqual("-".utf8) ? RememberedTunnel(connection: connection, child: child) : nil
        }
        guard fields.count == 4, let address = IPAddress(String(decoding: fields[2], as: UTF8.self)),
            let port = UInt16(String(decoding: fields[3], as: UTF8.self)), port != 0
        else { return nil }
        return RememberedTunnel(connection: connection, child: child, peer: Endpoint(address, port: port))
    }

    private static func escape(_ name: String) -> String {
        var text = ""
        for byte in name.utf8 {
            if byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "%") {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16)
                text += "%" + (digits.count < 2 ? "0" : "") + digits
            }
        }
        return text
    }

    private static func unescape(_ field: ArraySlice<UInt8>) -> String? {
        var bytes: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                guard byte > 0x20, byte < 0x7F else { return nil }
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
