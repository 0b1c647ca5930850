import Glibc
import IKEv2

/// `--ike-keylog FILE`: the keys of all SAs, as Wireshark takes them. Off unless asked for: who has them can read all
/// that the tunnels carry.
///
/// FILE gets the lines of Wireshark's `ikev2_decryption_table`, FILE.esp those of `esp_sa`; both are of the owner alone.
final class KeyLogFile {
    /// Why a key log cannot be written.
    struct Failure: Error, Hashable, CustomStringConvertible {
        let description: String
    }

    private let ike: Int32
    private let esp: Int32

    init(path: String) throws(Failure) {
        ike = try Self.open(path)
        do {
            esp = try Self.open(path + ".esp")
        } catch {
            close(ike)
            throw error
        }
    }

    deinit {
        close(ike)
        close(esp)
    }

    func write(_ line: KeyLogLine) {
        switch line {
        case .ike(let text): Self.write(text, to: ike)
        case .esp(let text): Self.write(text, to: esp)
        }
    }

    /// Lines are added to what is there. A link in the way is not followed: it could lead anywhere.
    private static func open(_ path: String) throws(Failure) -> Int32 {
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW
        let descriptor = Glibc.open(path, flags, 0o600)
        guard descriptor >= 0 else {
            throw Failure(
                description: "key log \(path): \(String(cString: strerror(errno))); give --ike-keylog a file in a "
                    + "directory of yours, or leave it out")
        }
        // An older file may be open to others.
        guard fchmod(descriptor, 0o600) == 0 else {
            let code = errno
            close(descriptor)
            throw Failure(
                description: "key log \(path): cannot be kept from others: \(String(cString: strerror(code))); "
                    + "give --ike-keylog a file of your own")
        }
        return descriptor
    }

    /// One write a line. A log that cannot be written is given up: traffic matters more.
    private static func write(_ text: String, to descriptor: Int32) {
        let bytes = Array((text + "\n").utf8)
        _ = Glibc.write(descriptor, bytes, bytes.count)
    }
}
