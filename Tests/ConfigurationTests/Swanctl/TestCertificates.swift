import Foundation
import Testing

/// Keys and certificates that openssl(1) makes once for all tests, as PEM: an authority, an intermediate one, `moon`
/// below that, `old` expired, and CRLs of the authority: the first, the next, a delta to that, and a foreign one.
struct TestCertificates: Sendable {
    static let shared = TestCertificates()

    private let files: [String: String]

    subscript(name: String) -> String { files[name] ?? "" }

    private init() {
        let script = """
            set -e
            new() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.key; }
            new ca; new sub; new moon; new old
            openssl genpkey -algorithm ED25519 -out ed.key
            openssl pkey -in ed.key -pubout -out ed.pub
            openssl req -x509 -new -key ca.key -subj "/C=CH/O=Example/CN=Root" -days 3650 -out ca.crt \
              -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign,cRLSign
            printf 'basicConstraints=critical,CA:TRUE\\n' > sub.ext
            printf 'subjectAltName=DNS:moon.example.org,email:moon@example.org,IP:192.0.2.1\\n' > moon.ext
            issue() { openssl req -new -key $1.key -subj "$2" | openssl x509 -req -CA $3.crt -CAkey $3.key \
              -CAcreateserial -days $4 -out $1.crt $5; }
            issue sub "/C=CH/O=Example/CN=Sub" ca 1000 "-extfile sub.ext"
            issue moon "/C=CH/O=Example/CN=moon" sub 1000 "-extfile moon.ext"
            : > index.txt; echo 01 > number
            printf '[ca]\\ndefault_ca=x\\n[x]\\ndatabase=index.txt\\ncrlnumber=number\\nserial=serial\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n' > ca.cnf
            openssl req -new -key old.key -subj /CN=old -out old.csr
            openssl ca -batch -config ca.cnf -keyfile ca.key -cert ca.crt -rand_serial -outdir . -notext -in old.csr \
              -startdate 20200101000000Z -enddate 20200102000000Z -out old.crt
            openssl ca -gencrl -config ca.cnf -keyfile ca.key -cert ca.crt -crldays 30 -out ca.crl
            openssl ca -gencrl -config ca.cnf -keyfile ca.key -cert ca.crt -crldays 31 -out next.crl
            printf '[delta]\\n2.5.29.27=critical,ASN1:INTEGER:2\\n' >> ca.cnf
            openssl ca -gencrl -config ca.cnf -keyfile ca.key -cert ca.crt -crldays 31 -crlexts delta -out delta.crl
            openssl req -x509 -new -key old.key -subj "/C=CH/O=Example/CN=Root" -days 3650 -out foreign.crt
            grep -v -e crlnumber ca.cnf > foreign.cnf
            openssl ca -gencrl -config foreign.cnf -keyfile old.key -cert foreign.crt -crldays 32 -out foreign.crl
            openssl pkcs8 -topk8 -in moon.key -passout pass:open-sesame -out encrypted.key
            cat moon.crt sub.crt > chain.crt
            """
        var files: [String: String] = [:]
        do {
            let folder = try TestFolder()
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", script]
            process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
            process.standardError = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            if process.terminationStatus != 0 { Issue.record("openssl failed") }
            for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
                files[name] = try String(contentsOfFile: folder.path + "/" + name, encoding: .utf8)
            }
        } catch {
            Issue.record("no certificates: \(error)")
        }
        self.files = files
    }
}
