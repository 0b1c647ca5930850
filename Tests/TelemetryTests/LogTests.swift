import Foundation
import Logging
import Synchronization
import Testing

@testable import Telemetry

@Suite("Log lines")
struct LogTests {
    @Test(
        "Time stamps are RFC 3339",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_399_999_999_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_001_000_000, "2024-02-29T23:59:59.001Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000Z"), (-1_000_000, "1969-12-31T23:59:59.999Z"),
        ] as [(Int64, String)])
    func timestamps(nanoseconds: Int64, expected: String) { #expect(timestamp(nanoseconds) == expected) }

    @Test("Time stamps agree with Foundation's calendar", arguments: 0..<200)
    func timestampsAgree(step: Int) throws {
        let seconds = Int64(step) * 21_234_567 - 500_000_000
        let date = Date(timeIntervalSince1970: TimeInterval(seconds))
        let expected = date.ISO8601Format(.iso8601.year().month().day().time(includingFractionalSeconds: false))
        #expect(timestamp(seconds * 1_000_000_000) == expected.replacing("Z", with: "") + ".000Z")
    }

    static let hostile = [
        "plain", "two words", "quote\" and \\ slash", "line\nbreak\r\n", "tab\tnul\u{0}", "\u{1b}[31mred",
        "\u{2028}\u{2029}\u{85}",
        "żółć 🦆", "", "a=b",
    ]

    @Test("JSON lines are one line and read back as written", arguments: hostile)
    func json(text: String) throws {
        let record = LogRecord(
            nanoseconds: 1, level: .warning, component: text, message: text,
            metadata: [
                text: .string(text), "list": .array([.string(text), .stringConvertible(7)]),
                "map": .dictionary([text: "x"]),
            ])
        let line = LogFormat.json.line(record)
        #expect(isOneLine(line))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["message"] as? String == text)
        #expect(object["component"] as? String == text)
        #expect(object["level"] as? String == "warning")
        let metadata = try #require(object["metadata"] as? [String: Any])
        #expect(metadata[text] as? String == text)
        #expect(metadata["list"] as? [String] == [text, "7"])
        #expect(metadata["map"] as? [String: String] == [text: "x"])
    }

    @Test("Text lines are one line without control characters", arguments: hostile)
    func text(text: String) {
        let record = LogRecord(
            nanoseconds: 0, level: .info, component: "ike", message: text, metadata: ["k": .string(text)])
        let line = LogFormat.text.line(record)
        #expect(isOneLine(line))
        #expect(line.hasPrefix("1970-01-01T00:00:00.000Z info ike: "))
    }

    @Test("Text metadata is sorted, and quoted when it is more than a word")
    func textMetadata() {
        let record = LogRecord(
            nanoseconds: 0, level: .error, component: "worker", message: "stopped",
            metadata: ["b": "two words", "a": "1", "c": ["it's", "a \"list\""]])
        #expect(
            LogFormat.text.line(record) == "1970-01-01T00:00:00.000Z error worker: stopped a=1 b=\"two words\" "
                + "c=\"it's; a \\\"list\\\"\"\n")
    }

    @Test("The handler writes each event at or above its level, with merged metadata", arguments: LogFormat.allCases)
    func handler(format: LogFormat) throws {
        let pipe = Pipe()
        let descriptor = pipe.fileHandleForWriting.fileDescriptor
        var logger = Logger(label: "part") {
            LineLogHandler(label: $0, format: format, level: .info, fileDescriptor: descriptor)
        }
        logger[metadataKey: "worker"] = "1"
        logger.debug("silent")
        logger.info("hello", metadata: ["worker": "2", "port": "eth0"])
        logger.error("bye")
        LogWriter.shared.flush()
        try pipe.fileHandleForWriting.close()
        let data = try #require(try pipe.fileHandleForReading.readToEnd())
        let lines = String(decoding: data, as: UTF8.self).split(separator: "\n")
        #expect(lines.count == 2)
        let first = try #require(lines.first)
        switch format {
        case .text: #expect(first.hasSuffix("info part: hello port=eth0 worker=2"))
        case .json:
            #expect(first.hasSuffix(#""component":"part","message":"hello","metadata":{"port":"eth0","worker":"2"}}"#))
        }
    }

    @Test("Nobody who logs waits for a log that is not read; what was dropped is told", .timeLimit(.minutes(1)))
    func stalledReader() throws {
        let pipe = Pipe()
        let descriptor = pipe.fileHandleForWriting.fileDescriptor
        let logger = Logger(label: "part") { LineLogHandler(label: $0, format: .text, fileDescriptor: descriptor) }
        let lines = 4 * LogWriter.capacity
        let before = LogWriter.shared.dropped
        let clock = ContinuousClock()
        let time = clock.measure {
            for number in 0..<lines { logger.info("line \(number)", metadata: ["text": "\(number)"]) }
        }
        #expect(time < .seconds(10))
        let dropped = Int(LogWriter.shared.dropped - before)
        #expect(dropped > LogWriter.capacity)
        // Once somebody reads, the rest comes, and a line that says how many are missing.
        let read = Mutex("")
        let reader = Thread {
            while let data = try? pipe.fileHandleForReading.read(upToCount: 65_536), !data.isEmpty {
                read.withLock { $0 += String(decoding: data, as: UTF8.self) }
            }
        }
        reader.start()
        LogWriter.shared.flush(within: 30_000)
        logger.info("the end")
        LogWriter.shared.flush(within: 30_000)
        try pipe.fileHandleForWriting.close()
        while !reader.isFinished { usleep(1000) }
        let text = read.withLock { $0 }
        #expect(text.contains("lines were not written"))
        #expect(text.hasSuffix("part: the end\n"))
        #expect(text.split(separator: "\n").filter { $0.contains("part: line") }.count == lines - dropped)
    }

    private func isOneLine(_ line: String) -> Bool {
        line.hasSuffix("\n")
            && line.dropLast().unicodeScalars.allSatisfy {
                !CharacterSet.controlCharacters.contains($0) && !CharacterSet.newlines.contains($0)
            }
    }
}
