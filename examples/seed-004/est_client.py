#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An EST client that does, call by call, what the C# of the document does, with Python's standard library and openssl.

    est_client.py EST_URL TRUST_PEM CERT_PEM KEY_PEM CSR_PEM NEW_CERT_PEM
"""
import base64
import http.client
import ssl
import subprocess
import sys
import urllib.parse


def main(est_url, trust, certificate, key, csr, new_certificate):
    # new HttpClientHandler { ClientCertificates = { clientCertificate } }, TotalRequestTimeout 60 s
    context = ssl.create_default_context(cafile=trust)
    context.load_cert_chain(certificate, key)
    host = urllib.parse.urlsplit(est_url).netloc

    # int index = estUrl.IndexOf('/', estUrl.IndexOf("//") + 2); GetAsync(estUrl[..index] + "/health/certificate")
    index = est_url.index("/", est_url.index("//") + 2)
    test = http.client.HTTPSConnection(est_url[len("https://"):index], timeout=60, context=context)
    test.request("GET", "/health/certificate", headers={"Host": host})
    answer = test.getresponse()
    text = answer.read().decode()
    test.close()
    if answer.status != 200:
        print("Failed to connect to the EST server", answer.status, text, file=sys.stderr)
        return 1
    print("Connected to the EST server\n" + text, end="")

    # Convert.ToBase64String(csrBytes): one line; new StringContent(csrBase64, Encoding.UTF8, "application/pkcs10"): with a charset
    der = subprocess.run(["openssl", "req", "-in", csr, "-outform", "DER"], check=True, capture_output=True).stdout
    content = base64.b64encode(der).decode()
    enrol = http.client.HTTPSConnection(host, timeout=60, context=context)
    enrol.request("POST", urllib.parse.urlsplit(est_url).path + "/simpleenroll", content.encode("utf-8"),
                  {"Content-Type": "application/pkcs10; charset=utf-8"})
    answer = enrol.getresponse()
    text = answer.read().decode()
    enrol.close()
    if answer.status != 200:
        print("Failed to send CSR to the EST server", answer.status, text, file=sys.stderr)
        return 1

    # Convert.FromBase64String(); new CmsSignedData(); GetCertificates(); First()
    cms = base64.b64decode(text)
    pem = subprocess.run(["openssl", "pkcs7", "-inform", "DER", "-print_certs"], input=cms, check=True, capture_output=True).stdout.decode()
    end = "-----END CERTIFICATE-----\n"
    first = pem[pem.index("-----BEGIN CERTIFICATE-----"):pem.index(end) + len(end)]
    with open(new_certificate, "w", encoding="ascii") as f:
        f.write(first)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 7:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
