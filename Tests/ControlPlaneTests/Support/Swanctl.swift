import Foundation
import Testing

/// Debian's `swanctl` with a folder of its own, and certificates made for the test.
final class Swanctl: Sendable {
    struct Outcome: Sendable {
        var status: Int32
        var output: String
        var errors: String
    }

    let directory: URL
    private let socket: String

    /// - Parameter socket: of the server that it talks to.
    init(socket: String) throws {
        self.socket = socket
        directory = URL(filePath: NSTemporaryDirectory()).appending(path: "swanctl-\(UUID().uuidString.prefix(8))")
        for folder in ["x509", "x509ca", "x509crl", "private", "rsa", "ecdsa", "pkcs8", "pubkey"] {
            try FileManager.default.createDirectory(
                at: directory.appending(path: folder), withIntermediateDirectories: true)
        }
        // What a client needs; the others would look for tokens.
        try write("swanctl {\n load = pem pkcs1 pkcs8 x509 pubkey openssl random nonce\n}\n", to: "strongswan.conf")
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: directory.appending(path: name))
    }

    /// Runs it to its end.
    @discardableResult
    func run(_ arguments: String...) throws -> Outcome { try finish(start(arguments)) }

    /// Starts it and leaves it running.
    func start(_ arguments: [String]) throws -> Running {
        let process = Process()
        // Line by line, so that what it follows can be read while it does.
        process.executableURL = URL(filePath: "/usr/bin/stdbuf")
        process.arguments = ["-oL", "/usr/sbin/swanctl"] + arguments + ["--uri", "unix://\(socket)"]
        process.environment = [
            "STRONGSWAN_CONF": directory.appending(path: "strongswan.conf").path, "SWANCTL_DIR": directory.path,
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC",
        ]
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try process.run()
        return Running(process: process, output: output, errors: errors)
    }

    struct Running {
        let process: Process
        let output: Pipe
        let errors: Pipe

        /// Reads until `text` has come, the output ends or a minute is over; then ends the process, which would follow
        /// for ever.
        func output(until text: String) -> String {
            let reader = output.fileHandleForReading
            var seen: [UInt8] = []
            let patience = DispatchWorkItem { process.interrupt() }
            DispatchQueue(label: "patience").asyncAfter(deadline: .now() + 60, execute: patience)
            defer { patience.cancel() }
            while !String(decoding: seen, as: UTF8.self).contains(text) {
                let more = reader.availableData
                if more.isEmpty { break }
                seen += more
            }
            process.interrupt()
            process.waitUntilExit()
            return String(decoding: seen, as: UTF8.self)
        }
    }

    func finish(_ running: Running) throws -> Outcome {
        let output = running.output.fileHandleForReading.readDataToEndOfFile()
        let errors = running.errors.fileHandleForReading.readDataToEndOfFile()
        running.process.waitUntilExit()
        return Outcome(
            status: running.process.terminationStatus, output: String(decoding: output, as: UTF8.self),
            errors: String(decoding: errors, as: UTF8.self))
    }

    /// An authority, and a certificate by it for `gwa.lab` with its key, in the folders where swanctl looks.
    func makeCertificates() throws {
        let script = """
            set -e
            openssl ecparam -name prime256v1 -genkey -noout -out ca.key
            openssl req -x509 -new -key ca.key -days 100 -subj "/C=XX/O=Lab/CN=Lab CA" -out x509ca/ca.crt \
                -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
            openssl ecparam -name prime256v1 -genkey -noout -out private/a.key
            openssl req -new -key private/a.key -subj "/C=XX/O=Lab/CN=gwa.lab" -out a.csr
            echo "subjectAltName=DNS:gwa.lab" > extensions
            openssl x509 -req -in a.csr -CA x509ca/ca.crt -CAkey ca.key -CAcreateserial -days 50 \
                -extfile extensions -out x509/a.crt
            openssl pkey -in private/a.key -pubout -outform DER -out a.pub
            """
        try run(script)
    }

    /// CRLs of that authority in the folder `lists`: complete ones with numbers 1 and 3, a delta from 1 to 2, and one that
    /// another key signed in its name.
    func makeRevocationLists() throws {
        try run(
            """
            set -e
            mkdir lists; : > index.txt; echo 01 > number
            printf '[ca]\\ndefault_ca=x\\n[x]\\ndatabase=index.txt\\ncrlnumber=number\\ndefault_md=sha256\\n' > ca.cnf
            printf '[delta]\\n2.5.29.27=critical,ASN1:INTEGER:1\\n' >> ca.cnf
            list() { openssl ca -gencrl -config ca.cnf -keyfile $1 -cert $2 -crldays 30 -out lists/$3 $4; }
            list ca.key x509ca/ca.crt 1.crl
            list ca.key x509ca/ca.crt 2.crl "-crlexts delta"
            list ca.key x509ca/ca.crt 3.crl
            openssl ecparam -name prime256v1 -genkey -noout -out foreign.key
            openssl req -x509 -new -key foreign.key -days 100 -subj "/C=XX/O=Lab/CN=Lab CA" -out foreign.crt
            list foreign.key foreign.crt foreign.crl
            """)
    }

    private func run(_ script: String) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = ["-c", script]
        process.currentDirectoryURL = directory
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }
}

extension Swanctl {
    func remove(_ name: String) throws {
        try FileManager.default.removeItem(at: directory.appending(path: name))
    }
}
