// What Node's http2 serves to test_http2.
// Arguments: port in clear text, port with TLS, file with key and certificate.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureServer, createServer } from "node:http2";
import { gzipSync } from "node:zlib";

const [port, tlsPort, certificate] = process.argv.slice(2);
const pem = readFileSync(certificate);
const document = JSON.stringify({ ok: true });

function counting(length) {
    const block = Buffer.from(Array.from({ length: 256 }, (_, number) => number));
    return Buffer.alloc(length, block);
}

const routes = {
    json(stream) {
        stream.respond({ ":status": 200, "content-type": "application/json" });
        stream.end(document);
    },
    bytes(stream, headers, length) {
        stream.respond({ ":status": 200, "content-length": length });
        stream.end(counting(Number(length)));
    },
    "echo-body"(stream) {
        stream.respond({ ":status": 200 });
        stream.pipe(stream);
    },
    upload(stream) {
        const digest = createHash("sha256");
        let length = 0;
        stream.on("data", (piece) => {
            digest.update(piece);
            length += piece.length;
        });
        stream.on("end", () => {
            stream.respond({ ":status": 200, "content-type": "application/json" });
            stream.end(JSON.stringify({ length, sha256: digest.digest("hex") }));
        });
    },
    status(stream, headers, status) {
        stream.respond({ ":status": Number(status) }, { endStream: true });
    },
    redirect(stream) {
        stream.respond({ ":status": 302, location: "/json" }, { endStream: true });
    },
    gzip(stream) {
        stream.respond({ ":status": 200, "content-encoding": "gzip" });
        stream.end(gzipSync(document));
    },
    trailers(stream) {
        stream.additionalHeaders({ ":status": 103, link: "</style.css>" });
        stream.respond({ ":status": 200, trailer: "x-sum" }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "42" }));
        stream.end("with trailers");
    },
    headers(stream, headers) {
        stream.respond({ ":status": 200, "content-type": "application/json" });
        stream.end(JSON.stringify(headers));
    },
    push(stream) {
        // the client has said that it takes none
        stream.respond({ ":status": 200 });
        stream.end(String(stream.pushAllowed));
    },
    broken(stream) {
        stream.respond({ ":status": 200, "content-length": 1000 });
        stream.write("part", () => stream.destroy(new Error("broken"))); // INTERNAL_ERROR
    },
    refused(stream) {
        stream.close(7); // REFUSED_STREAM
    },
    goaway(stream) {
        stream.respond({ ":status": 200 });
        stream.session.goaway(0, stream.id);
        stream.end("the last one");
    },
    hang() {},
};

function answer(stream, headers) {
    const [, route, argument] = headers[":path"].split("?")[0].split("/");
    stream.on("error", () => {}); // the client may leave
    if (headers.expect === "100-continue") {
        stream.additionalHeaders({ ":status": 100 });
    }
    if (routes[route] === undefined) {
        stream.respond({ ":status": 404 }, { endStream: true });
    } else if (headers[":method"] === "HEAD") {
        stream.respond({ ":status": 200, "content-length": argument ?? 0 }, { endStream: true });
    } else {
        routes[route](stream, headers, argument);
    }
}

const settings = { maxConcurrentStreams: 100 };
createServer({ settings }).on("stream", answer).listen(port, "127.0.0.1");
createSecureServer({ settings, key: pem, cert: pem, allowHTTP1: false })
    .on("stream", answer)
    .listen(tlsPort, "127.0.0.1");
