// Who an e-mail address is: its SHA-256, and the address itself only where the integration says so.
// Computed here and at once: the browser's own digest answers later, when a submitted form has
// already left the page, and shops without https do not have it. Not here: which fields are read.

var identity = null; // of the visitor who logged in, registered or subscribed on this page

function identityOf(address) {
  address = String(address || '').trim().toLowerCase();
  if (!/^[^@\s]+@[^@\s]+$/.test(address) || address.length > 254) {
    return null;
  }
  var who = {email_sha256: sha256(address)};
  if (OPTIONS.raw_email === 'yes') {
    who.email = address;
  }
  return who;
}

function sha256(text) {
  var bytes = utf8(text);
  var length = bytes.length;
  var state = [];
  var constants = [];
  var number = 2;
  var i;
  // The constants of the standard: fractions of the roots of the first 64 primes.
  while (constants.length < 64) {
    if (isPrime(number)) {
      if (state.length < 8) {
        state.push(fraction(Math.pow(number, 1 / 2)));
      }
      constants.push(fraction(Math.pow(number, 1 / 3)));
    }
    number++;
  }
  bytes.push(0x80);
  while (bytes.length % 64 !== 56) {
    bytes.push(0);
  }
  for (i = 7; i >= 0; i--) {
    bytes.push(i > 3 ? 0 : ((length * 8) >>> (i * 8)) & 255);
  }
  for (i = 0; i < bytes.length; i += 64) {
    digest(state, bytes.slice(i, i + 64), constants);
  }
  var hex = '';
  each(state, function (word) {
    hex += ('0000000' + (word >>> 0).toString(16)).slice(-8);
  });
  return hex;
}

function digest(state, block, constants) {
  var words = [];
  var s = state.slice();
  for (var i = 0; i < 64; i++) {
    if (i < 16) {
      words[i] =
        (block[i * 4] << 24) | (block[i * 4 + 1] << 16) | (block[i * 4 + 2] << 8) | block[i * 4 + 3];
    } else {
      var a = words[i - 15];
      var b = words[i - 2];
      words[i] =
        (words[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ (a >>> 3)) +
          words[i - 7] + (turn(b, 17) ^ turn(b, 19) ^ (b >>> 10))) | 0;
    }
    var first =
      (s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) +
        ((s[4] & s[5]) ^ (~s[4] & s[6])) + constants[i] + words[i]) | 0;
    var second =
      ((turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) +
        ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]))) | 0;
    s = [(first + second) | 0, s[0], s[1], s[2], (s[3] + first) | 0, s[4], s[5], s[6]];
  }
  for (var j = 0; j < 8; j++) {
    state[j] = (state[j] + s[j]) | 0;
  }
}

function turn(word, by) {
  return (word >>> by) | (word << (32 - by));
}

function fraction(root) {
  return ((root - Math.floor(root)) * 4294967296) | 0;
}

function isPrime(number) {
  for (var i = 2; i * i <= number; i++) {
    if (number % i === 0) {
      return false;
    }
  }
  return true;
}

function utf8(text) {
  var escaped = encodeURIComponent(text);
  var bytes = [];
  for (var i = 0; i < escaped.length; i++) {
    if (escaped.charAt(i) === '%') {
      bytes.push(parseInt(escaped.substr(i + 1, 2), 16));
      i += 2;
    } else {
      bytes.push(escaped.charCodeAt(i));
    }
  }
  return bytes;
}
